use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

const CHEAP: Scheme = Scheme::Argon2id {
    memory: 8,
    passes: 1,
    lanes: 1,
};

fn hasher(threads: usize, queue: usize) -> Hasher {
    Hasher::new(Settings {
        scheme: CHEAP,
        threads,
        queue,
    })
}

/// Holds one thread until the returned sender is dropped.
fn occupy(hasher: &Hasher) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    hasher
        .shared
        .submit(Box::new(move |_| {
            started.send(()).unwrap();
            let _ = released.recv();
        }))
        .unwrap();
    has_started.recv().unwrap();
    release
}

#[tokio::test]
async fn hashes_and_checks() {
    let hasher = hasher(2, 0);
    assert!(
        hasher.shared.lock().threads.is_empty(),
        "nothing runs before it is needed"
    );
    let stored = hasher.hash("right").await.unwrap();
    assert!(hasher.verify("right", Some(&stored)).await.unwrap());
    assert!(!hasher.verify("wrong", Some(&stored)).await.unwrap());
    for stored in [None, Some(""), Some("$2a$31$"), Some("garbage")] {
        assert!(!hasher.verify("right", stored).await.unwrap());
    }
}

#[tokio::test]
async fn an_old_hash_is_made_anew_while_nobody_waits() {
    const OLD: &str = "$2b$04$e1n7s8QHzDsGl7U6lbI/uOQQALyZ1MNPa6TBPrcuKdL7Hq7EUGEN2";
    let hasher = hasher(1, 10);
    let anew = hasher.rehash("right", OLD).await.unwrap();
    assert!(hasher.verify("right", Some(&anew)).await.unwrap());
    for as_good in [&*anew, "garbage"] {
        assert_eq!(hasher.rehash("right", as_good).await, None);
    }
    let release = occupy(&hasher);
    let mut waiting = Box::pin(hasher.hash("somebody else's"));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert_eq!(hasher.rehash("right", OLD).await, None);
    drop(release);
    waiting.await.unwrap();
    hasher.rehash("right", OLD).await.unwrap();
}

#[tokio::test]
async fn attack_067_a_full_queue_refuses_at_once() {
    let hasher = hasher(1, 2);
    let release = occupy(&hasher);
    let waiting = [hasher.hash("a"), hasher.hash("b")].map(Box::pin);
    let mut waiting = futures_util::future::join_all(waiting);
    // Polled once: both are in the queue.
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let Err(Error::Unavailable(refused)) = hasher.verify("c", None).await else {
        panic!("the queue is full")
    };
    assert_eq!(refused.retry_after, Duration::from_secs(1));
    drop(release);
    assert!(waiting.await.iter().all(Result::is_ok));
    hasher.hash("d").await.unwrap();
}

#[tokio::test]
async fn threads_are_bounded_and_all_are_used() {
    let hasher = hasher(3, 100);
    let busy: Vec<_> = (0..3).map(|_| occupy(&hasher)).collect();
    assert_eq!(hasher.shared.lock().threads.len(), 3);
    hasher.shared.submit(Box::new(|_| {})).unwrap();
    assert_eq!(hasher.shared.lock().threads.len(), 3);
    drop(busy);
    hasher.hash("a").await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_neither_thread_nor_server() {
    let hasher = hasher(1, 10);
    let panicked = hasher.run(|_| -> () { panic!("in a job") }).await;
    assert!(matches!(panicked, Err(Error::Failed(_))));
    hasher.hash("a").await.unwrap();
    assert_eq!(hasher.shared.lock().threads.len(), 1);
}

#[tokio::test]
async fn work_for_callers_who_left_is_skipped() {
    let hasher = hasher(1, 10);
    let release = occupy(&hasher);
    let ran = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&ran);
    let mut left = Box::pin(hasher.run(move |_| noted.store(true, Ordering::SeqCst)));
    assert!(futures_util::poll!(&mut left).is_pending());
    drop(left);
    drop(release);
    hasher.hash("a").await.unwrap();
    assert!(!ran.load(Ordering::SeqCst));
}

#[tokio::test]
async fn closing_waits_for_the_present_job_and_refuses_the_rest() {
    let hasher = hasher(1, 10);
    let release = occupy(&hasher);
    let finished = Arc::new(AtomicUsize::new(0));
    let mut waiting = Box::pin(hasher.hash("a"));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            hasher.close();
            finished.fetch_add(1, Ordering::SeqCst);
        });
        while !hasher.shared.lock().closed {
            std::thread::yield_now();
        }
        assert_eq!(finished.load(Ordering::SeqCst), 0);
        drop(release);
    });
    assert_eq!(finished.load(Ordering::SeqCst), 1);
    assert!(matches!(waiting.await, Err(Error::Unavailable(_))));
    assert!(matches!(hasher.hash("a").await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn attack_055_failing_imitates_every_kind_in_use() {
    let hasher = hasher(1, 10);
    assert_eq!(hasher.in_use(), [CHEAP.work()]);
    let bcrypt = "$2b$04$e1n7s8QHzDsGl7U6lbI/uOQQALyZ1MNPa6TBPrcuKdL7Hq7EUGEN2";
    for _ in 0..2 {
        hasher.saw(bcrypt);
        hasher.saw("garbage");
        hasher.saw(&hasher.hash("a").await.unwrap());
    }
    assert_eq!(hasher.in_use(), [CHEAP.work(), Work::Bcrypt { cost: 4 }]);
    // A sign-in notes the kind as well, and a kind that is too dear is left alone.
    let argon2i = "$argon2i$v=19$m=64,t=2,p=1$6amy1iu3nfzXH8meVYAgbg$TBNvxGaA3opOBaSSzLO2s4tY4Yy8TA9hc1MuiY2BwJQ";
    assert!(
        hasher
            .verify("imported-secret-1", Some(argon2i))
            .await
            .unwrap()
    );
    hasher.saw("$2a$15$K4FNPuxmf.QtE1Hh2Mp2lOelKh9orS/GEvC9E4mAp.uJapeWP.rt.");
    assert_eq!(hasher.in_use().len(), 3);
    // The dearest stay, the scheme always.
    for cost in 5..12 {
        hasher.saw(&bcrypt.replace("$04$", &format!("${cost:02}$")));
    }
    let bcrypt = |cost| Work::Bcrypt { cost };
    assert_eq!(
        hasher.in_use(),
        [CHEAP.work(), bcrypt(11), bcrypt(10), bcrypt(9), bcrypt(8)]
    );
}
