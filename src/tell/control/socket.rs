//! The socket file: made with mode 0600 in a directory that is the user's own, removed at the end.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::peer::Peer;
use super::routes::{ControlState, router};

/// A socket's path has at most this many bytes on Linux, its end included.
const PATH_BYTES_MAX: usize = 107;

/// Why the socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} is too long for a socket ({bytes} bytes, at most {PATH_BYTES_MAX}); choose another with --control")]
    TooLong { path: PathBuf, bytes: usize },
    #[error("another process answers on {0}; stop it first, or choose another socket with --control")]
    Taken(PathBuf),
    #[error("{path} exists and is not a socket; move it away, or choose another with --control")]
    NotASocket { path: PathBuf },
    #[error("cannot make the control socket {path}: {error}")]
    Io { path: PathBuf, error: io::Error },
}

/// Makes the socket. One that a killed process left behind is replaced; one that answers is not.
///
/// # Errors
/// See [`Error`].
pub async fn bind(path: &Path) -> Result<UnixListener, Error> {
    let bytes = path.as_os_str().len();
    if bytes > PATH_BYTES_MAX {
        return Err(Error::TooLong { path: path.to_owned(), bytes });
    }
    let io = |error| Error::Io { path: path.to_owned(), error };
    match path.symlink_metadata() {
        Ok(found) if !std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
            return Err(Error::NotASocket { path: path.to_owned() });
        }
        Ok(_) if tokio::net::UnixStream::connect(path).await.is_ok() => return Err(Error::Taken(path.to_owned())),
        Ok(_) => std::fs::remove_file(path).map_err(io)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    // Bound under a name of its own and renamed once its mode is right: nobody can connect in between.
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh).map_err(io)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
    std::fs::rename(&fresh, path).map_err(io)?;
    Ok(listener)
}

/// Serves the socket until shutdown, then removes its file.
pub async fn serve(listener: UnixListener, path: PathBuf, state: ControlState, shutdown: CancellationToken) {
    let service = router(state).into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the control socket ended");
    }
    let _ = std::fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_private_and_replaces_one_that_nobody_answers_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(bind(&path).await.unwrap());
        let _second = bind(&path).await.unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_socket_that_answers_and_a_file_that_is_none_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let _first = bind(&path).await.unwrap();
        assert!(matches!(bind(&path).await, Err(Error::Taken(_))));
        let file = dir.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert!(matches!(bind(&file).await, Err(Error::NotASocket { .. })));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_refused_with_the_way_out() {
        let path = Path::new("/tmp").join("x".repeat(120));
        let error = bind(&path).await.unwrap_err().to_string();
        assert!(error.contains("--control"), "{error}");
    }
}
