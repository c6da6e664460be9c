/// Which place of the source a spliced frame comes from, while the ratio of the two changes now and then.
#[derive(Clone, Copy)]
pub(super) struct Course {
    /// Where the ratio changed: the spliced frame and its place in the source. Straight lines are between them.
    bends: [(f64, f64); BENDS],
    len: usize,
    /// Source frames per spliced frame, after the last of them.
    ratio: f64,
}

/// Changes that are remembered. When there are more within some tens of milliseconds, the last ones become one.
const BENDS: usize = 8;

impl Course {
    pub(super) fn new(ratio: f64) -> Self {
        Self { bends: [(0.0, 0.0); BENDS], len: 1, ratio }
    }

    /// From `frame` on, which is at `place` of the source, the ratio is another one.
    pub(super) fn bend(&mut self, frame: f64, place: f64, ratio: f64) {
        self.ratio = ratio;
        if self.len == BENDS || self.bends[self.len - 1].0 >= frame {
            self.len -= 1;
        }
        self.bends[self.len] = (frame, place);
        self.len += 1;
    }

    /// The source's place of `frame`.
    pub(super) fn place(&self, frame: f64) -> f64 {
        let bends = &self.bends[..self.len];
        let next = bends.partition_point(|bend| bend.0 <= frame);
        match (next.checked_sub(1).and_then(|last| bends.get(last)), bends.get(next)) {
            (Some(last), Some(next)) => last.1 + (frame - last.0) / (next.0 - last.0) * (next.1 - last.1),
            (Some(last), None) => last.1 + (frame - last.0) * self.ratio,
            _ => bends[0].1,
        }
    }

    /// Forgets what is before `frame`.
    pub(super) fn pass(&mut self, frame: f64) {
        let passed = self.bends[1..self.len].partition_point(|bend| bend.0 <= frame);
        self.bends.copy_within(passed..self.len, 0);
        self.len -= passed;
    }
}

#[cfg(test)]
mod tests {
    use super::Course;

    #[test]
    fn places_are_on_straight_lines_between_the_changes() {
        let mut course = Course::new(2.0);
        course.bend(100.0, 200.0, 0.5);
        course.bend(300.0, 300.0, 1.0);
        for (frame, place) in
            [(0.0, 0.0), (50.0, 100.0), (100.0, 200.0), (200.0, 250.0), (300.0, 300.0), (350.0, 350.0)]
        {
            assert_eq!(course.place(frame), place);
            if frame >= 200.0 {
                course.pass(200.0);
            }
        }
        for n in 0..100 {
            course.bend(400.0 + f64::from(n), 400.0 + 2.0 * f64::from(n), 2.0);
        }
        assert_eq!((course.place(400.0), course.place(499.0), course.place(500.0)), (400.0, 598.0, 600.0));
    }
}
