use proptest::prelude::*;

use super::*;

/// Base64url of `0123456789abcdef0123456789abcdef`.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
const SESSION: Uuid = Uuid::from_u128(0x5f9a_0e0e_1111_4a4e_9d55_0000_0000_0004);

fn signed(token: &str) -> Option<SignedToken> {
    match RefreshToken::parse(token)? {
        RefreshToken::Signed(token) => Some(token),
        RefreshToken::Stored(_) => None,
    }
}

#[test]
fn signed_tokens_are_gotrues() {
    let key = RefreshKey::decode(KEY).unwrap();
    // Made by GoTrue 2.196 (crypto.RefreshToken.Encode).
    let made = [
        (0, "AF-aDg4REUpOnVUAAAAAAAQALgM-CgLQqPHP6SEjDfC0EowJwVs"),
        (1, "AF-aDg4REUpOnVUAAAAAAAQBtkJBaVFyTl1JVWAkOUSFafXztxE"),
        (127, "AF-aDg4REUpOnVUAAAAAAAR_2CD8ZKMFEG01681Gn9jKrvap9L4"),
        (128, "AF-aDg4REUpOnVUAAAAAAASAAWDVOMzu820t-95AafJ6NPaEFPmQ"),
        (300, "AF-aDg4REUpOnVUAAAAAAASsAldRU098i-BKSOZoi9lopPIC8uDK"),
        (
            i64::MAX,
            "AF-aDg4REUpOnVUAAAAAAAT__________386zZD-p_MuoqdNuCb-xJQaQLzsKw",
        ),
    ];
    for (counter, token) in made {
        assert_eq!(SignedToken::sign(SESSION, counter, &key).encode(), token);
        let read = signed(token).unwrap();
        assert_eq!((read.session_id, read.counter), (SESSION, counter));
        assert!(read.is_signed_by(&key));
        assert!(!read.is_signed_by(&RefreshKey::generate().0));
    }
}

#[test]
fn stored_tokens_are_known_by_their_shape() {
    for token in [
        "abcdefghij27",
        "000000000000",
        "Ov_7Rw_l6jSgufAvSTOslw",
        "----------------------",
    ] {
        assert_eq!(
            RefreshToken::parse(token),
            Some(RefreshToken::Stored(token))
        );
    }
    let fresh = RefreshToken::generate();
    assert_eq!(
        RefreshToken::parse(&fresh),
        Some(RefreshToken::Stored(&fresh))
    );
}

#[test]
fn attack_049_anything_else_is_no_token() {
    let good = SignedToken::sign(SESSION, 300, &RefreshKey::decode(KEY).unwrap()).encode();
    let long = "A".repeat(1 << 20);
    let mut bad = vec![
        "",
        "a",
        "abcdefghij2",
        "abcdefghij2A",
        "abcdefghij2_",
        "abcdefghij2\0",
        "abcdefghij2é",
        "' OR 1=1 --",
        "abcdefghij2\n",
        "Ov_7Rw_l6jSgufAvSTOsl=",
        "Ov_7Rw_l6jSgufAvSTOsl+",
        "Ov_7Rw_l6jSgufAvSTOsl\0",
        "Ov_7Rw_l6jSgufAvSTO' --",
        &long,
    ];
    let spellings = [
        format!("{good}="),
        format!("{good}A"),
        format!(" {good}"),
        format!("{good}\n"),
        good.replace('_', "/"),
        good.to_lowercase(),
        good[..good.len() - 1].to_owned(),
        good[1..].to_owned(),
        format!("{}\0", &good[..good.len() - 1]),
    ];
    bad.extend(
        spellings
            .iter()
            .filter(|other| **other != good)
            .map(String::as_str),
    );
    for token in bad {
        assert_eq!(RefreshToken::parse(token), None, "{token:.80}");
    }
}

#[test]
fn a_counter_has_one_spelling() {
    for bytes in [
        &[0x80, 0][..],
        &[0x80],
        &[],
        &[0x81, 0x80, 0],
        &[1, 1],
        &[0xff; 10],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
    ] {
        assert_eq!(read_uvarint(bytes), None, "{bytes:?}");
    }
    assert_eq!(
        read_uvarint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        Some(i64::MAX)
    );
}

#[test]
fn the_same_sessions_as_gotrues_are_upgraded() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let with = |bytes: &[(usize, u8)]| {
        let mut id = *SESSION.as_bytes();
        for (at, byte) in bytes {
            id[*at] = *byte;
        }
        go_intn_100(crc32(&id))
    };
    // Drawn by Go's math/rand.
    let first: Vec<u64> = (0..20u8)
        .map(|i| with(&[(15, i), (0, i.wrapping_mul(37))]))
        .collect();
    assert_eq!(
        first,
        [
            55, 58, 39, 25, 2, 88, 34, 85, 74, 96, 83, 79, 72, 92, 14, 58, 85, 37, 87, 95
        ]
    );
    let many = (0..2000u32).fold(0, |sum, i| {
        let [low, middle, high, _] = i.to_le_bytes();
        (sum * 31 + with(&[(15, low), (14, middle), (13, high)])) % 1_000_000_007
    });
    assert_eq!(many, 461_956_479);
    assert!(upgrades(SESSION, 100) && !upgrades(SESSION, 0));
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(id in any::<u128>(), counter in 0..=i64::MAX) {
        let (key, text) = RefreshKey::generate();
        let token = SignedToken::sign(Uuid::from_u128(id), counter, &key).encode();
        prop_assert!((51..=62).contains(&token.len()));
        let read = signed(&token).unwrap();
        prop_assert_eq!((read.session_id.as_u128(), read.counter), (id, counter));
        prop_assert!(read.is_signed_by(&RefreshKey::decode(&text).unwrap()));
        prop_assert_eq!(read.encode(), token);
    }

    #[test]
    fn a_changed_token_is_none(at in 0usize..51, to in "[A-Za-z0-9_-]") {
        let good = SignedToken::sign(SESSION, 7, &RefreshKey::decode(KEY).unwrap()).encode();
        let mut changed = good.clone();
        changed.replace_range(at..=at, &to);
        prop_assert_eq!(RefreshToken::parse(&changed).is_some(), changed == good);
    }

    #[test]
    fn no_text_panics(token in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = RefreshToken::parse(&token);
        // With a right checksum, the inner parser sees it too.
        let checksum = digest(&SHA256, &bytes);
        let token = URL_SAFE_NO_PAD.encode([&bytes, &checksum.as_ref()[..CHECKSUM]].concat());
        let _ = RefreshToken::parse(&token);
    }
}
