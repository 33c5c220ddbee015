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
        .submit(
            None,
            Box::new(move |_| {
                started.send(()).unwrap();
                let _ = released.recv();
            }),
        )
        .unwrap();
    has_started.recv().unwrap();
    release
}

#[tokio::test]
async fn hashes_and_checks() {
    let hasher = hasher(2, 10);
    assert!(
        hasher.shared.lock().threads.is_empty(),
        "nothing runs before it is needed"
    );
    let stored = hasher.hash("right", None).await.unwrap();
    assert!(hasher.verify("right", Some(&stored), None).await.unwrap());
    assert!(!hasher.verify("wrong", Some(&stored), None).await.unwrap());
    for stored in [None, Some(""), Some("$2a$31$"), Some("garbage")] {
        assert!(!hasher.verify("right", stored, None).await.unwrap());
    }
}

#[tokio::test]
async fn an_old_hash_is_made_anew_while_nobody_waits() {
    const OLD: &str = "$2b$04$e1n7s8QHzDsGl7U6lbI/uOQQALyZ1MNPa6TBPrcuKdL7Hq7EUGEN2";
    let hasher = hasher(1, 10);
    let anew = hasher.rehash("right", OLD, None).await.unwrap();
    assert!(hasher.verify("right", Some(&anew), None).await.unwrap());
    for as_good in [&*anew, "garbage"] {
        assert_eq!(hasher.rehash("right", as_good, None).await, None);
    }
    let release = occupy(&hasher);
    let mut waiting = Box::pin(hasher.hash("somebody else's", None));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert_eq!(hasher.rehash("right", OLD, None).await, None);
    drop(release);
    waiting.await.unwrap();
    hasher.rehash("right", OLD, None).await.unwrap();
}

#[tokio::test]
async fn attack_067_a_full_queue_refuses_at_once() {
    let hasher = hasher(1, 2);
    let release = occupy(&hasher);
    let waiting = [hasher.hash("a", None), hasher.hash("b", None)].map(Box::pin);
    let mut waiting = futures_util::future::join_all(waiting);
    // Polled once: both are in the queue.
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let Err(Error::Unavailable(refused)) = hasher.verify("c", None, None).await else {
        panic!("the queue is full")
    };
    assert_eq!(refused.retry_after, Duration::from_secs(1));
    drop(release);
    assert!(waiting.await.iter().all(Result::is_ok));
    hasher.hash("d", None).await.unwrap();
}

#[tokio::test]
async fn threads_are_bounded_and_all_are_used() {
    let hasher = hasher(3, 100);
    let busy: Vec<_> = (0..3).map(|_| occupy(&hasher)).collect();
    assert_eq!(hasher.shared.lock().threads.len(), 3);
    hasher.shared.submit(None, Box::new(|_| {})).unwrap();
    assert_eq!(hasher.shared.lock().threads.len(), 3);
    drop(busy);
    hasher.hash("a", None).await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_neither_thread_nor_server() {
    let hasher = hasher(1, 10);
    let panicked = hasher.run(None, |_| -> () { panic!("in a job") }).await;
    assert!(matches!(panicked, Err(Error::Failed(_))));
    hasher.hash("a", None).await.unwrap();
    assert_eq!(hasher.shared.lock().threads.len(), 1);
}

#[tokio::test]
async fn memory_is_kept_for_a_while_and_given_back() {
    let hasher = hasher(1, 10);
    hasher.hash("a", None).await.unwrap();
    assert!(!hasher.run(None, |memory| memory.is_empty()).await.unwrap());
    let mut memory = Memory::default();
    CHEAP.hash(b"a", &mut memory).unwrap();
    let shared = &hasher.shared;
    drop(shared.rest(shared.lock(), &mut memory, Duration::ZERO));
    assert!(memory.is_empty());
}

#[test]
fn a_thread_rests_with_blank_memory() {
    let hasher = hasher(1, 10);
    hasher.close();
    let mut memory = Memory::default();
    CHEAP.hash(b"a", &mut memory).unwrap();
    assert!(hasher.shared.next(&mut memory).is_none());
    assert!(memory.is_wiped());
}

#[tokio::test]
async fn work_for_callers_who_left_is_skipped() {
    let hasher = hasher(1, 10);
    let release = occupy(&hasher);
    let ran = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&ran);
    let mut left = Box::pin(hasher.run(None, move |_| noted.store(true, Ordering::SeqCst)));
    assert!(futures_util::poll!(&mut left).is_pending());
    drop(left);
    drop(release);
    hasher.hash("a", None).await.unwrap();
    assert!(!ran.load(Ordering::SeqCst));
}

#[tokio::test]
async fn closing_waits_for_the_present_job_and_refuses_the_rest() {
    let hasher = hasher(1, 10);
    let release = occupy(&hasher);
    let finished = Arc::new(AtomicUsize::new(0));
    let mut waiting = Box::pin(hasher.hash("a", None));
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
    assert!(matches!(
        hasher.hash("a", None).await,
        Err(Error::Unavailable(_))
    ));
}

#[tokio::test]
async fn attack_055_failing_imitates_every_kind_in_use() {
    let hasher = hasher(1, 10);
    assert_eq!(hasher.in_use(), [CHEAP.work()]);
    let bcrypt = "$2b$04$e1n7s8QHzDsGl7U6lbI/uOQQALyZ1MNPa6TBPrcuKdL7Hq7EUGEN2";
    for _ in 0..2 {
        hasher.saw(bcrypt);
        hasher.saw("garbage");
        hasher.saw(&hasher.hash("a", None).await.unwrap());
    }
    assert_eq!(hasher.in_use(), [CHEAP.work(), Work::Bcrypt { cost: 4 }]);
    // A sign-in notes the kind as well, and a kind that is too dear is left alone.
    let argon2i = "$argon2i$v=19$m=64,t=2,p=1$6amy1iu3nfzXH8meVYAgbg$TBNvxGaA3opOBaSSzLO2s4tY4Yy8TA9hc1MuiY2BwJQ";
    assert!(
        hasher
            .verify("imported-secret-1", Some(argon2i), None)
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

/// What the thread of a hasher that has only one did since it was asked the last time.
async fn done(hasher: &Hasher) -> Vec<Work> {
    let mut done = hasher
        .run(None, |memory| std::mem::take(&mut memory.done))
        .await
        .unwrap();
    done.sort_by_key(|work| work.weight());
    done
}

#[tokio::test]
async fn attack_055_a_wrong_password_is_never_less_work_than_a_right_one() {
    let hasher = hasher(1, 10);
    let bcrypt = "$2b$04$e1n7s8QHzDsGl7U6lbI/uOQQALyZ1MNPa6TBPrcuKdL7Hq7EUGEN2";
    let argon2i = "$argon2i$v=19$m=64,t=2,p=1$6amy1iu3nfzXH8meVYAgbg$TBNvxGaA3opOBaSSzLO2s4tY4Yy8TA9hc1MuiY2BwJQ";
    let own = hasher.hash("imported-secret-1", None).await.unwrap();
    hasher.saw(bcrypt);
    hasher.saw(argon2i);
    let all = {
        hasher.verify("wrong", None, None).await.unwrap();
        done(&hasher).await
    };
    assert_eq!(all.len(), 1 + 3, "one of each, after the hash above");
    let all = &all[1..];
    for stored in [&own, bcrypt, argon2i, "", "garbage"] {
        for wrong in ["wrong", "", "imported-secret-1 "] {
            assert!(!hasher.verify(wrong, Some(stored), None).await.unwrap());
            assert_eq!(done(&hasher).await, all, "{wrong:?} for {stored}");
        }
    }
    for stored in [&own, bcrypt, argon2i] {
        let right = "imported-secret-1";
        assert!(hasher.verify(right, Some(stored), None).await.unwrap());
        // With a hash in place of an old one, as every sign-in may be.
        hasher.rehash(right, stored, None).await;
        let done = done(&hasher).await;
        assert!(
            done.iter().all(|work| all.contains(work)),
            "{stored}: {done:?}"
        );
        assert_eq!(done.len(), 1 + usize::from(stored != own), "{stored}");
    }
}

#[tokio::test]
async fn a_crowd_from_one_address_does_not_keep_a_stranger_waiting() {
    let hasher = Arc::new(hasher(1, 4));
    let release = occupy(&hasher);
    let order = Arc::new(Mutex::new(Vec::new()));
    let caller = |ip: &str, name: &'static str| {
        let (hasher, order, ip) = (Arc::clone(&hasher), Arc::clone(&order), ip.parse().ok());
        let work = move |_: &mut Memory| order.lock().unwrap().push(name);
        Box::pin(async move { hasher.run(ip, work).await })
    };
    let mut callers = futures_util::future::join_all([
        caller("192.0.2.1", "crowd 1"),
        caller("192.0.2.1", "crowd 2"),
        caller("192.0.2.1", "crowd 3"),
        caller("192.0.2.1", "crowd 4"),
        caller("192.0.2.2", "stranger"),
    ]);
    assert!(futures_util::poll!(&mut callers).is_pending());
    drop(release);
    let answers = callers.await;
    assert_eq!(
        *order.lock().unwrap(),
        ["crowd 1", "stranger", "crowd 2", "crowd 3"]
    );
    let refused: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(refused, [false, false, false, true, false]);
    assert!(matches!(answers[3], Err(Error::Unavailable(_))));
}
