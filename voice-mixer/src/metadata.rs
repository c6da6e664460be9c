use std::fmt;
use std::sync::Arc;

/// What is known of a piece of audio beside its sound. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Metadata {
    /// Its title.
    pub title: Option<Arc<str>>,
    /// Who made it: performer, channel, station.
    pub artist: Option<Arc<str>>,
    /// The album it is from.
    pub album: Option<Arc<str>>,
    /// Where a person finds it: a web page.
    pub url: Option<Arc<str>>,
    /// Its picture.
    pub art: Option<Art>,
}

/// A picture.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Art {
    /// Where it is.
    Url(Arc<str>),
    /// The picture itself, as the file had it.
    Embedded {
        /// Its media type, such as `image/jpeg`.
        media_type: Arc<str>,
        /// Its bytes.
        bytes: Arc<[u8]>,
    },
}

impl Metadata {
    /// With this title.
    #[must_use]
    pub fn title(mut self, title: impl Into<Arc<str>>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// With this artist.
    #[must_use]
    pub fn artist(mut self, artist: impl Into<Arc<str>>) -> Self {
        self.artist = Some(artist.into());
        self
    }

    /// With this album.
    #[must_use]
    pub fn album(mut self, album: impl Into<Arc<str>>) -> Self {
        self.album = Some(album.into());
        self
    }

    /// With this web page.
    #[must_use]
    pub fn url(mut self, url: impl Into<Arc<str>>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// With this picture.
    #[must_use]
    pub fn art(mut self, art: Art) -> Self {
        self.art = Some(art);
        self
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Debug for Art {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Art::Url(url) => f.debug_tuple("Url").field(url).finish(),
            Art::Embedded { media_type, bytes } => write!(f, "Embedded({media_type}, {} bytes)", bytes.len()),
        }
    }
}
