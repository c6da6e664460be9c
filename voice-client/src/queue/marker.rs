use std::any::Any;
use std::sync::Arc;

use super::entry::Data;

/// A mark between the entries of a queue: the beginning of another programme, the place to skip to. Cheap to clone.
///
/// It is reached, once, when the entry before it has ended; repeating does not bring it back.
#[derive(Clone, Debug)]
pub struct Marker {
    text: Arc<str>,
    data: Option<Data>,
}

impl Marker {
    /// A marker with this text, which may be empty.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), data: None }
    }

    /// With data of your own.
    #[must_use]
    pub fn with_data(mut self, data: impl Any + Send + Sync) -> Self {
        self.data = Some(Arc::new(data));
        self
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The data that it was made with, if there are any of this type.
    pub fn data<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.data.clone()?.downcast().ok()
    }
}
