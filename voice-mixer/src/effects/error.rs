use std::ops::RangeBounds;

/// Why an effect cannot be made.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EffectError {
    /// A parameter is not a number, or outside of what the effect can do.
    #[error("{effect}: {parameter} is {value}, but it has to be {range}")]
    OutOfRange {
        /// The effect.
        effect: &'static str,
        /// Its parameter.
        parameter: &'static str,
        /// What it was given.
        value: f32,
        /// What it can be, in words.
        range: &'static str,
    },
}

/// Refuses a `value` that is not finite or not `within`, which is said in words in `range`.
pub(super) fn check(
    effect: &'static str,
    parameter: &'static str,
    value: f32,
    within: impl RangeBounds<f32>,
    range: &'static str,
) -> Result<(), EffectError> {
    if value.is_finite() && within.contains(&value) {
        Ok(())
    } else {
        Err(EffectError::OutOfRange { effect, parameter, value, range })
    }
}
