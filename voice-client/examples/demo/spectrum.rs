//! A sound as a picture: time to the right, pitch upwards, loudness as colour.

use std::f32::consts::TAU;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use realfft::RealFftPlanner;

use super::analysis::RATE;

/// Lowest and highest frequency of the picture, in Hz; the axis between them is logarithmic.
pub(crate) const LOWEST: f32 = 60.0;
/// As [`LOWEST`].
pub(crate) const HIGHEST: f32 = 20_000.0;

/// Samples of one transform: 43 ms, fine enough in pitch for a melody, short enough for its attacks.
const WINDOW: usize = 2_048;
/// Below this a pixel has the darkest colour.
const FLOOR_DB: f32 = -96.0;
/// At this it has the lightest: a window's sine never reaches full scale in music.
const CEILING_DB: f32 = -18.0;
/// Colours of the palette; few of them make small files.
const SHADES: usize = 40;
/// The palette runs through these, dark to light, evenly spaced.
const RAMP: [[f32; 3]; 6] = [
    [10.0, 10.0, 28.0],
    [52.0, 20.0, 98.0],
    [134.0, 34.0, 120.0],
    [216.0, 68.0, 84.0],
    [252.0, 152.0, 66.0],
    [254.0, 238.0, 178.0],
];

/// The spectrogram of a mono signal as a PNG in a `data:` URL; silence when there is no signal.
pub(crate) fn data_url(mono: &[f32], width: usize, height: usize) -> String {
    let shades = shades(mono, width.max(1), height.max(1));
    format!("data:image/png;base64,{}", STANDARD.encode(png(&shades, width.max(1), height.max(1))))
}

/// The height, from 0 at the bottom to 1 at the top, of a frequency in Hz.
pub(crate) fn height_of(frequency: f32) -> f32 {
    (frequency / LOWEST).ln() / (HIGHEST / LOWEST).ln()
}

/// One palette index per pixel, top row first.
fn shades(mono: &[f32], width: usize, height: usize) -> Vec<u8> {
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(WINDOW);
    let hann: Vec<f32> = (0..WINDOW).map(|index| 0.5 - 0.5 * (TAU * index as f32 / WINDOW as f32).cos()).collect();
    let (mut input, mut output) = (transform.make_input_vec(), transform.make_output_vec());
    let mut pixels = vec![0; width * height];
    for column in 0..width {
        let middle = (mono.len() as f64 * (column as f64 + 0.5) / width as f64) as usize;
        for (index, sample) in input.iter_mut().enumerate() {
            let at = (middle + index).checked_sub(WINDOW / 2);
            *sample = hann[index] * at.and_then(|at| mono.get(at)).copied().unwrap_or(0.0);
        }
        transform.process(&mut input, &mut output).expect("invariant: the transform made both buffers");
        // A full-scale sine under this window peaks at a quarter of its length.
        let power: Vec<f32> = output.iter().map(|bin| bin.norm_sqr() / (WINDOW as f32 / 4.0).powi(2)).collect();
        for row in 0..height {
            let edge = |row: usize| bin_at(1.0 - row as f32 / height as f32);
            let loudest = strongest(&power, edge(row + 1), edge(row));
            let share = (10.0 * loudest.log10() - FLOOR_DB) / (CEILING_DB - FLOOR_DB);
            pixels[row * width + column] = (share.clamp(0.0, 1.0) * (SHADES - 1) as f32).round() as u8;
        }
    }
    pixels
}

/// Average level in dB of a mono signal around each of `count` frequencies, evenly spaced on the axis from [`LOWEST`] to
/// [`HIGHEST`]; -120 is silence.
pub(crate) fn average(mono: &[f32], count: usize) -> Vec<f32> {
    /// 85 ms: fine enough for a bass line.
    const LONG: usize = 4_096;
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(LONG);
    let (mut input, mut output) = (transform.make_input_vec(), transform.make_output_vec());
    let mut power = vec![0.0_f32; output.len()];
    let starts: Vec<usize> = (0..mono.len().max(1)).step_by(LONG / 2).collect();
    for start in &starts {
        for (index, slot) in input.iter_mut().enumerate() {
            let window = 0.5 - 0.5 * (TAU * index as f32 / LONG as f32).cos();
            *slot = window * mono.get(start + index).copied().unwrap_or(0.0);
        }
        transform.process(&mut input, &mut output).expect("invariant: the transform made both buffers");
        let scale = (LONG as f32 / 4.0).powi(2) * starts.len() as f32;
        power.iter_mut().zip(&output).for_each(|(power, bin)| *power += bin.norm_sqr() / scale);
    }
    // A sixth of an octave around each.
    let bin = |point: f32| LOWEST * (HIGHEST / LOWEST).powf(point / count.max(2) as f32) * LONG as f32 / RATE as f32;
    let sixth = 2.0_f32.powf(1.0 / 12.0);
    let level = |point: usize| {
        let middle = bin(point as f32 + 0.5);
        let (low, high) = ((middle / sixth).round() as usize, (middle * sixth).round() as usize);
        let around = &power[low..=high.min(power.len() - 1)];
        (10.0 * around.iter().sum::<f32>().log10()).max(-120.0)
    };
    (0..count).map(level).collect()
}

/// The (fractional) bin at a height from 0 to 1.
fn bin_at(height: f32) -> f32 {
    LOWEST * (HIGHEST / LOWEST).powf(height) * WINDOW as f32 / RATE as f32
}

/// The most power between two bins: between neighbours where a pixel is narrower than a bin, the peak where it is wider.
fn strongest(power: &[f32], from: f32, to: f32) -> f32 {
    let between = |bin: f32| {
        let (low, share) = (bin as usize, bin.fract());
        power[low] * (1.0 - share) + power[(low + 1).min(power.len() - 1)] * share
    };
    let inside = power[from.ceil() as usize..=to as usize].iter().copied();
    inside.fold(between((from + to) / 2.0), f32::max)
}

fn png(shades: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette());
    encoder.set_compression(png::Compression::High);
    // Neighbouring shades repeat rather than grow: filters would only hide that from the compressor.
    encoder.set_filter(png::Filter::NoFilter);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(shades)?;
        writer.finish()
    });
    written.expect("invariant: a Vec takes every byte, and the picture has the size it says");
    file
}

/// Red, green, blue of each shade.
fn palette() -> Vec<u8> {
    let colour = |shade: usize| {
        let place = shade as f32 / (SHADES - 1) as f32 * (RAMP.len() - 1) as f32;
        let low = (place as usize).min(RAMP.len() - 2);
        let share = place - low as f32;
        [0, 1, 2].map(|part| (RAMP[low][part] * (1.0 - share) + RAMP[low + 1][part] * share).round() as u8)
    };
    (0..SHADES).flat_map(colour).collect()
}

#[cfg(test)]
mod tests {
    use super::{RATE, SHADES, average, data_url, height_of, png, shades};

    const WIDTH: usize = 30;
    const HEIGHT: usize = 80;

    fn tone(frequency: f32) -> Vec<f32> {
        (0..RATE).map(|index| 0.05 * (std::f32::consts::TAU * frequency * index as f32 / RATE as f32).sin()).collect()
    }

    #[test]
    fn a_tone_is_a_bright_line_at_its_height() {
        for frequency in [200.0, 1_000.0, 9_000.0] {
            let pixels = shades(&tone(frequency), WIDTH, HEIGHT);
            let column: Vec<u8> = pixels.iter().skip(WIDTH / 2).step_by(WIDTH).copied().collect();
            let brightest = (0..HEIGHT).max_by_key(|&row| column[row]).expect("there are rows");
            let wanted = (1.0 - height_of(frequency)) * HEIGHT as f32;
            assert!((brightest as f32 + 0.5 - wanted).abs() <= 2.0, "{frequency} Hz in row {brightest}");
            assert!(usize::from(column[brightest]) > SHADES / 2);
        }
    }

    #[test]
    fn the_average_peaks_at_a_tone_and_has_its_level() {
        for frequency in [200.0, 1_000.0, 9_000.0] {
            let levels = average(&tone(frequency), HEIGHT);
            let loudest = (0..HEIGHT).max_by(|&a, &b| levels[a].total_cmp(&levels[b])).expect("there are points");
            assert!((loudest as f32 + 0.5 - height_of(frequency) * HEIGHT as f32).abs() <= 2.0, "{frequency} Hz");
            // 0.05 of full scale, and what a Hann window adds by being wider than one bin.
            assert!((levels[loudest] + 26.0 - 1.76).abs() < 1.0, "{} dB", levels[loudest]);
        }
        assert!(average(&[], HEIGHT).iter().all(|&level| level == -120.0));
    }

    #[test]
    fn silence_is_dark() {
        assert!(shades(&[], WIDTH, HEIGHT).iter().all(|&shade| shade == 0));
    }

    #[test]
    fn the_picture_can_be_read_back() {
        let pixels = shades(&tone(440.0), WIDTH, HEIGHT);
        let file = png(&pixels, WIDTH, HEIGHT);
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a PNG");
        let mut read = vec![0; WIDTH * HEIGHT];
        reader.next_frame(&mut read).expect("a picture");
        assert_eq!(read, pixels);
    }

    #[test]
    fn the_url_is_a_png() {
        assert!(data_url(&[], 0, 0).starts_with("data:image/png;base64,iVBORw0KGgo"));
    }
}
