use crate::Metadata;

/// Something that happens at one place of what a feed carries.
#[derive(Debug)]
pub(crate) struct Mark {
    /// Audible samples at 48 kHz that the feed yields before it.
    pub(crate) at: u64,
    pub(crate) kind: MarkKind,
}

#[derive(Debug)]
pub(crate) enum MarkKind {
    /// The source begins again.
    Looped,
    /// Something else is heard from here on.
    Metadata(Box<Metadata>),
}
