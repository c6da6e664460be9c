use super::{OVERLAP, REACH};

/// Finds where sound goes on most like it would have gone on.
pub(super) struct Splice {
    model: Box<[f32]>,
    range: Box<[f32]>,
    coarse_model: Box<[f32]>,
    coarse_range: Box<[f32]>,
}

/// Samples that are added up to one for the first, coarse search.
const COARSE: usize = 4;

impl Splice {
    pub(super) fn new() -> Self {
        Self {
            model: vec![0.0; OVERLAP].into(),
            range: vec![0.0; REACH + OVERLAP].into(),
            coarse_model: vec![0.0; OVERLAP / COARSE].into(),
            coarse_range: vec![0.0; (REACH + OVERLAP) / COARSE].into(),
        }
    }

    /// Which [`OVERLAP`] frames of `range` (left and right) are most like `model`: how far into `range` they begin, and
    /// how much they are like it, 0 to 1.
    pub(super) fn find(&mut self, model: [&[f32]; 2], range: [&[f32]; 2]) -> (usize, f32) {
        mono(model, &mut self.model);
        mono(range, &mut self.range);
        reduce(&self.model, &mut self.coarse_model);
        reduce(&self.range, &mut self.coarse_range);
        let middle = REACH / COARSE / 2;
        let (coarse, _) = best(&self.coarse_model, &self.coarse_range, 0, REACH / COARSE, middle);
        let around = coarse * COARSE;
        let (first, last) = (around.saturating_sub(COARSE), (around + COARSE).min(REACH));
        let (found, likeness) = best(&self.model, &self.range, first, last, around);
        let power = dot(&self.model, &self.model);
        (found, if power > 0.0 { (likeness / power.sqrt()).clamp(0.0, 1.0) } else { 0.0 })
    }
}

/// Both channels in one. Their shares differ, so that channels of opposite sign do not cancel out.
fn mono([left, right]: [&[f32]; 2], sum: &mut [f32]) {
    for ((sum, left), right) in sum.iter_mut().zip(left).zip(right) {
        *sum = 0.6 * left + 0.4 * right;
    }
}

fn reduce(fine: &[f32], coarse: &mut [f32]) {
    for (coarse, fine) in coarse.iter_mut().zip(fine.as_chunks::<COARSE>().0) {
        *coarse = fine.iter().sum();
    }
}

/// Where from `first` to `last` in `range` the product with `model` is the largest for its power; `middle` if none is.
fn best(model: &[f32], range: &[f32], first: usize, last: usize, middle: usize) -> (usize, f32) {
    let window = |at: usize| &range[at..at + model.len()];
    let mut found = (middle, 0.0);
    let mut power = f64::from(dot(window(first), window(first)));
    for at in first..=last {
        // Below 120 dB under full scale it is silence.
        let likeness = dot(model, window(at)) / (power.max(0.0) as f32 + 1e-9).sqrt();
        if likeness > found.1 {
            found = (at, likeness);
        }
        if at < last {
            power += f64::from(range[at + model.len()]).powi(2) - f64::from(range[at]).powi(2);
        }
    }
    found
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::{OVERLAP, REACH, Splice};

    #[test]
    fn what_was_cut_out_is_found_where_it_was() {
        let mut state = 1_u32;
        let noise: Vec<f32> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 65_536.0 - 0.5
        })
        .take(REACH + OVERLAP)
        .collect();
        let opposite: Vec<f32> = noise.iter().map(|sample| -sample).collect();
        let mut splice = Splice::new();
        for at in [0, 1, 2, 3, 201, 402, REACH - 1, REACH] {
            let (model, other) = (&noise[at..at + OVERLAP], &opposite[at..at + OVERLAP]);
            let (found, likeness) = splice.find([model, other], [&noise, &opposite]);
            assert!(found == at && likeness > 0.999, "{found} instead of {at}, {likeness}");
        }
        assert_eq!(splice.find([&[0.0; OVERLAP]; 2], [&[0.0; REACH + OVERLAP]; 2]), (REACH / 2, 0.0));
    }
}
