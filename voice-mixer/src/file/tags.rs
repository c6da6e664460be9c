use std::sync::Arc;

use symphonia::core::meta::{
    Metadata as Revisions, MetadataContainer, RawValue, StandardTag, StandardVisualKey, Tag, Visual,
};

use crate::loudness::Gains;
use crate::{Art, Metadata};

/// Tags beyond these are not kept.
const MAX_TAGS: usize = 64;

/// Bytes of one tag's text; longer ones are not kept.
const MAX_TEXT: usize = 16 * 1024;

/// Bytes of a picture; a larger one is not kept.
const MAX_ART: usize = 1 << 20;

/// What a file says about itself.
#[derive(Default)]
pub(super) struct Tags {
    /// As the file has them.
    pub(super) text: Vec<(String, String)>,
    pub(super) metadata: Metadata,
    gains: Gains,
}

impl Tags {
    /// All that is said of the file and of this track; what is said last counts.
    pub(super) fn collect(mut revisions: Revisions<'_>, track: u32) -> Self {
        let mut tags = Self::default();
        loop {
            if let Some(revision) = revisions.current() {
                tags.add(&revision.media);
                for own in revision.per_track.iter().filter(|own| own.track_id == u64::from(track)) {
                    tags.add(&own.metadata);
                }
            }
            if revisions.pop().is_none() {
                break;
            }
        }
        tags
    }

    /// Integrated loudness in LUFS of what is decoded, without the output gain of an Opus header, which is `header`.
    pub(super) fn loudness(&self, header: i16) -> Option<f32> {
        self.gains.loudness(header)
    }

    fn add(&mut self, container: &MetadataContainer) {
        for tag in &container.tags {
            self.add_tag(tag);
        }
        let fits = |visual: &&Visual| !visual.data.is_empty() && visual.data.len() <= MAX_ART;
        let cover = container.visuals.iter().filter(fits).min_by_key(|visual| match visual.usage {
            Some(StandardVisualKey::FrontCover) => 0,
            Some(StandardVisualKey::FileIcon | StandardVisualKey::OtherIcon) => 2,
            _ => 1,
        });
        if let Some(visual) = cover {
            let media_type = visual.media_type.as_deref().unwrap_or("application/octet-stream").into();
            self.metadata.art = Some(Art::Embedded { media_type, bytes: Arc::from(&*visual.data) });
        }
    }

    fn add_tag(&mut self, tag: &Tag) {
        if let RawValue::String(value) = &tag.raw.value
            && value.len() <= MAX_TEXT
        {
            self.gains.tag(&tag.raw.key, value);
            if self.text.len() < MAX_TAGS {
                self.text.push((tag.raw.key.clone(), value.to_string()));
            }
        }
        let (slot, value) = match &tag.std {
            Some(StandardTag::TrackTitle(value)) => (&mut self.metadata.title, value),
            Some(StandardTag::Artist(value)) => (&mut self.metadata.artist, value),
            Some(StandardTag::Album(value)) => (&mut self.metadata.album, value),
            Some(
                StandardTag::Url(value)
                | StandardTag::UrlOfficial(value)
                | StandardTag::UrlSource(value)
                | StandardTag::UrlInternetRadio(value)
                | StandardTag::UrlPodcast(value),
            ) => (&mut self.metadata.url, value),
            Some(StandardTag::ReplayGainTrackGain(value)) => return self.gains.tag("REPLAYGAIN_TRACK_GAIN", value),
            Some(StandardTag::ReplayGainReferenceLoudness(value)) => {
                return self.gains.tag("REPLAYGAIN_REFERENCE_LOUDNESS", value);
            }
            _ => return,
        };
        if !value.is_empty() && value.len() <= MAX_TEXT {
            *slot = Some(value.as_str().into());
        }
    }
}
