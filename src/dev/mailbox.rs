//! The mails and text messages that `dev` has received: the newest few hundred, in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use super::mail::{Envelope, Mail};
use crate::clock::Clock;

/// No more mails than this are kept ..
const MAX_MAILS: usize = 500;
/// .. nor more bytes of them than this.
const MAX_BYTES: usize = 64 << 20;

/// A mail in the box.
#[derive(Debug)]
pub struct Kept {
    /// What came.
    pub mail: Mail,
    /// Whether somebody opened it.
    pub read: AtomicBool,
}

/// Where the SMTP sink puts mails and the inbox finds them.
pub struct Mailbox {
    clock: Arc<dyn Clock>,
    /// Newest first.
    mails: Mutex<VecDeque<Arc<Kept>>>,
    changes: watch::Sender<u64>,
}

impl Mailbox {
    /// An empty box.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            mails: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Keeps a mail, and forgets the oldest where the box is full.
    pub fn put(&self, envelope: &Envelope, raw: Vec<u8>) {
        self.keep(Mail::read(new_id(), self.clock.now(), envelope, raw));
    }

    /// Keeps a text message likewise.
    pub fn put_text_message(&self, phone: &str, text: String) {
        self.keep(Mail::text_message(new_id(), self.clock.now(), phone, text));
    }

    fn keep(&self, mail: Mail) {
        self.change(|mails| {
            mails.push_front(Arc::new(Kept {
                mail,
                read: AtomicBool::new(false),
            }));
            let mut bytes = 0;
            let fitting = mails.iter().take(MAX_MAILS).take_while(|kept| {
                bytes += kept.mail.raw.len();
                bytes <= MAX_BYTES
            });
            let fitting = fitting.count().max(1);
            mails.truncate(fitting);
        });
    }

    /// All mails, newest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Kept>> {
        self.mails
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// The mail with this id; `latest` is the newest.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Kept>> {
        self.all()
            .into_iter()
            .find(|kept| id == "latest" || kept.mail.head.id == id)
    }

    /// Marks a mail as read.
    pub fn mark_read(&self, kept: &Kept) {
        if !kept.read.swap(true, Ordering::Relaxed) {
            self.change(|_| ());
        }
    }

    /// Throws away the mails that `gone` names.
    pub fn remove(&self, gone: impl Fn(&Kept) -> bool) {
        self.change(|mails| mails.retain(|kept| !gone(kept)));
    }

    /// Tells of every change from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn change(&self, what: impl FnOnce(&mut VecDeque<Arc<Kept>>)) {
        what(&mut self.mails.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
    }
}

fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn keeps_the_newest() {
        let mailbox = Mailbox::new(Arc::new(SystemClock));
        for number in 0..=MAX_MAILS {
            mailbox.put(
                &Envelope::default(),
                format!("Subject: {number}\r\n\r\n").into_bytes(),
            );
        }
        let kept = mailbox.all();
        assert_eq!(kept.len(), MAX_MAILS);
        assert_eq!(
            kept.first().unwrap().mail.head.subject,
            MAX_MAILS.to_string()
        );
        assert_eq!(kept.last().unwrap().mail.head.subject, "1");

        mailbox.put(&Envelope::default(), vec![b'x'; MAX_BYTES + 1]);
        assert_eq!(
            mailbox.all().len(),
            1,
            "one too big for the box is shown all the same"
        );
    }
}
