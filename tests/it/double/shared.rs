//! What a double knows, shared by its requests and its test, and waited on without sleeping.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

/// A value that many change and some wait on.
pub struct Shared<T>(Arc<(Mutex<T>, watch::Sender<()>)>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Shared<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new((Mutex::new(value), watch::Sender::new(()))))
    }

    pub fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.0.0.lock().unwrap())
    }

    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.0.0.lock().unwrap());
        self.0.1.send_replace(());
        result
    }

    /// Returns once `is_so`.
    pub async fn until(&self, is_so: impl Fn(&T) -> bool) {
        let mut changes = self.0.1.subscribe();
        while !self.read(&is_so) {
            changes.changed().await.expect("the value outlives those who wait");
        }
    }
}
