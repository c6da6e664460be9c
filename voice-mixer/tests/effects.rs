//! Each effect against a reference that is computed in another way, by error bounds.

#[path = "effects/dynamics.rs"]
mod dynamics;
#[path = "effects/filters.rs"]
mod filters;
#[path = "effects/hostile.rs"]
mod hostile;
#[path = "effects/modulation.rs"]
mod modulation;
#[path = "effects/room.rs"]
mod room;
#[path = "effects/seamless.rs"]
mod seamless;
#[path = "effects/signal.rs"]
mod signal;
#[path = "effects/stretching.rs"]
mod stretching;
