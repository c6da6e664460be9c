use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use dave::KeyStore;
use zeroize::Zeroizing;

/// A private key is 32 bytes; whatever is longer than this is something else.
const LONGEST: u64 = 4_096;

/// Keeps [`Identity`](dave::Identity) keys in a folder, one file each, readable by their owner only (mode 0600; elsewhere
/// than on Unix what the folder allows).
///
/// ```no_run
/// use voice_client::{Config, Identity, KeyFolder, SystemEntropy};
///
/// let identity = Identity::open(&KeyFolder::new("keys"), "bot", &SystemEntropy)?;
/// let config = Config::default().identity(Some(identity));
/// # Ok::<(), voice_client::IdentityError>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyFolder {
    folder: PathBuf,
}

impl KeyFolder {
    /// The folder is made when the first key is.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) {
            let error = format!("{name:?} is no name of a key: use letters, digits, - and _");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        Ok(self.folder.join(format!("{name}.key")))
    }
}

impl KeyStore for KeyFolder {
    fn load(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let path = self.path(name)?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(named(&path, &error)),
        };
        // Room for all of it from the start: a vector that grows leaves copies behind.
        let mut key = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
        file.take(LONGEST).read_to_end(&mut key).map_err(|error| named(&path, &error))?;
        Ok(Some(key))
    }

    fn save(&self, name: &str, key: &[u8]) -> io::Result<()> {
        let path = self.path(name)?;
        fs::create_dir_all(&self.folder).map_err(|error| named(&self.folder, &error))?;
        // Never over another key, and never half of one: written beside it, then linked into its place.
        let beside = self.folder.join(format!(".{name}.{}.new", std::process::id()));
        let written = write(&beside, key).and_then(|()| fs::hard_link(&beside, &path));
        let removed = fs::remove_file(&beside);
        written.and(removed).map_err(|error| named(&path, &error))
    }
}

fn write(path: &Path, key: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(key)?;
    file.sync_all()
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
