//! `swift.conf`, the rate limit file and the realms file, against what Swift 2.38.3 gave.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use swift_conf::server_conf::Filter;
use swift_conf::{
    Policies, Policy, RateLimitEvent, RateLimitWatch, Realms, RealmsEvent, RealmsFile, ServerConf,
    ServerKind, SwiftConf,
};

const HASH: &str = "[swift-hash]\nswift_hash_path_suffix = s\n";

fn parse(text: impl AsRef<[u8]>) -> Result<SwiftConf, swift_conf::Error> {
    SwiftConf::parse(text.as_ref(), Path::new("swift.conf"))
}

fn with_hash(text: &str) -> Result<SwiftConf, swift_conf::Error> {
    parse(format!("{HASH}{text}"))
}

/// A failure would mean that all stores are looked for under wrong paths.
#[test]
fn hash_parts_are_bytes_as_swift_recorded() {
    let both = |text: &[u8]| {
        let conf = parse(text).unwrap();
        (conf.hash_path_prefix, conf.hash_path_suffix)
    };
    let bytes = both(b"[swift-hash]\nswift_hash_path_suffix = \xe9\xff\n");
    assert_eq!(bytes, (Vec::new(), vec![0xe9, 0xff]));
    let text = b"[swift-hash]\nswift_hash_path_suffix = 5%%\nSwift_Hash_Path_Prefix = %(swift_hash_path_suffix)s\n";
    assert_eq!(both(text), (b"5%".to_vec(), b"5%".to_vec()));
    assert_eq!(
        both(b"[DEFAULT]\nswift_hash_path_suffix = q\n[swift-hash]\n").1,
        b"q"
    );
    let refused: [&[u8]; 5] = [
        b"",
        b"[x]\n",
        b"[swift-hash]\nswift_hash_path_suffix =\n",
        b"[swift-hash]\nswift_hash_path_suffix = 5%\n",
        b"[swift-hash]\nswift_hash_path_suffix = a\n[swift-hash]\n",
    ];
    for text in refused {
        parse(text).expect_err("Swift refuses it");
    }
    assert!(SwiftConf::new("", "").is_err());
    assert!(!format!("{:?}", SwiftConf::new("", "hidden").unwrap()).contains("hidden"));
}

/// A failure would mean that containers get another policy than Swift gives them.
#[test]
fn policies_are_what_swift_recorded() {
    let names = |text: &str| -> Vec<(u32, String, bool, bool)> {
        let policies = with_hash(text).unwrap().policies;
        let row = |p: &Policy| {
            (
                p.index,
                p.names().collect::<Vec<_>>().join("|"),
                p.is_default,
                p.is_deprecated,
            )
        };
        policies.iter().map(row).collect()
    };
    assert_eq!(names(""), [(0, "Policy-0".into(), true, false)]);
    assert_eq!(
        names("[storage-policy: 0]\nname = gold\n"),
        [(0, "gold".into(), true, false)]
    );
    assert_eq!(
        names("[storage-policy:1]\nname = gold\n[storage-policy:0]\nname=a\ndefault=yes\n"),
        [
            (1, "gold".into(), false, false),
            (0, "a".into(), true, false)
        ]
    );
    assert_eq!(
        names("[storage-policy:0]\nname = gold\naliases = gold, a,,b\n"),
        [(0, "gold|a|b".into(), true, false)]
    );
    assert_eq!(
        names(
            "[storage-policy:0]\nname=a\ndeprecated=yes\n[storage-policy:1]\nname=b\ndefault=yes\n"
        ),
        [(0, "a".into(), false, true), (1, "b".into(), true, false)]
    );
    let ec = "[storage-policy:0]\nname=a\npolicy_type=erasure_coding\nec_type=t\nec_num_data_fragments=4\n";
    assert_eq!(names(ec).len(), 1);
}

/// A failure would mean that a cluster starts with policies that Swift refuses.
#[test]
fn policies_that_swift_refuses_are_refused() {
    let p0 = "[storage-policy:0]\n";
    let refused = [
        "[storage-policy:1]\nname = gold\n".to_owned(),
        format!("{p0}name = gold\n[storage-policy:1]\nname=silver\n"),
        format!("{p0}name = gold\ndefault=yes\n[storage-policy:1]\nname=GOLD\n"),
        format!("{p0}name = gold\ndefault=yes\n[storage-policy:1]\nname=s\naliases=gold\n"),
        format!("{p0}name = gold\naliases = gold, a, Gold\n"),
        format!("{p0}default=yes\n"),
        format!("{p0}name=a_b\n"),
        "[storage-policy:x]\nname=a\n".to_owned(),
        "[storage-policy:-1]\nname=a\n".to_owned(),
        "[storage-policy:00]\nname=a\n[storage-policy:0]\nname=b\ndefault=yes\n".to_owned(),
        format!("{p0}name=a\ndeprecated=yes\n"),
        format!("{p0}name=a\ndeprecated=yes\ndefault=yes\n"),
        format!("{p0}name=a\n[storage-policy:1]\nname=policy-0\ndefault=yes\n"),
        format!("{p0}name=a\nfoo=1\n"),
        format!("{p0}name=a\nec_type=x\n"),
        format!("{p0}name=a\npolicy_type=nope\n"),
        format!("{p0}name=a\n{p0}name=b\n"),
        format!("[DEFAULT]\nx=1\n{p0}name=a\n"),
        format!("{p0}name=a\ndefault=yes\n[storage-policy:1]\nname=b\ndefault=yes\n"),
        format!("{p0}name=a\naliases=\u{e9}\n"),
    ];
    for text in refused {
        with_hash(&text).expect_err(&text);
    }
}

/// A failure would mean that tests and the embedded default cannot make policies in code.
#[test]
fn policies_made_in_code_are_found_by_index_and_name() {
    let gold = Policy {
        is_default: true,
        ..Policy::new(0, "gold")
    };
    let policies = Policies::new(vec![gold, Policy::new(7, "Silver")]).unwrap();
    assert_eq!(policies.default().index, 0);
    assert_eq!(policies.by_index(7), policies.by_name("sILVER"));
    assert_eq!(policies.by_index(1), None);
    assert_eq!(Policies::legacy().by_name("policy-0").unwrap().index, 0);
}

/// A failure would mean that limits differ between our servers and Swift's.
#[test]
fn constraints_are_what_swift_recorded() {
    let text = "[swift-constraints]\nmax_meta_count = 10\nContainer_Listing_Limit = 5\n\
                auto_create_account_prefix = -\nmax_file_size=3\nextra_header_count = -5\n";
    let limits = with_hash(text).unwrap().constraints;
    assert_eq!(
        (limits.max_meta_count, limits.container_listing_limit),
        (10, 5)
    );
    assert_eq!(
        (limits.account_listing_limit, limits.max_header_count()),
        (10_000, 46)
    );
    assert_eq!(limits.auto_create_account_prefix, "-");
    for bad in [
        "max_meta_count = ten",
        "max_meta_count = 5%",
        "max_header_size = -1",
        "max_meta_count =",
    ] {
        let error = with_hash(&format!("[swift-constraints]\n{bad}\n"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("swift.conf line 4, [swift-constraints], option max_"),
            "{error}"
        );
    }
}

fn limits(filter: &str) -> Result<swift_conf::RateLimitConf, swift_conf::Error> {
    let text = format!(
        "[DEFAULT]\nbind_port=1\n[pipeline:main]\npipeline = r account-server\n\
         [app:account-server]\nuse = egg:swift#account\n[filter:r]\nuse = egg:swift#backend_ratelimit\n{filter}"
    );
    let conf = ServerConf::parse(text.as_bytes(), Path::new("a.conf"), ServerKind::Account)?;
    match &conf.pipeline[0].filter {
        Filter::BackendRateLimit(limits) => Ok(limits.clone()),
        other => panic!("not a rate limit: {other:?}"),
    }
}

/// A failure would mean that a device is limited at another rate than the operator wrote.
#[test]
fn rates_are_typed_and_checked() {
    let conf =
        limits("requests_per_device_per_second = 10\nget_requests_per_device_per_second = 2.5\n")
            .unwrap();
    assert_eq!(conf.rates.aggregate, 10.0);
    assert_eq!(
        (conf.rates.of("GET"), conf.rates.of("PUT")),
        (Some(2.5), Some(0.0))
    );
    assert_eq!(
        (conf.rates.of("OPTIONS"), conf.rates.buffer_seconds),
        (None, 1.0)
    );
    assert_eq!(conf.file, Path::new("/etc/swift/backend-ratelimit.conf"));
    assert!(limits("").unwrap().rates.is_unlimited());
    assert_eq!(
        limits("config_reload_interval = 0\n")
            .unwrap()
            .reload_interval,
        None
    );
    for bad in [
        "put_requests_per_device_per_second = -1",
        "requests_per_device_rate_buffer = x",
        "config_reload_interval = -1",
    ] {
        limits(bad).expect_err(bad);
    }
}

/// A failure would mean that a broken or removed file changes rates, or a good one does not.
#[test]
fn the_rate_file_overrides_and_a_broken_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rates.conf");
    let section = format!(
        "backend_ratelimit_conf_path = {}\nput_requests_per_device_per_second = 3\nrequests_per_device_per_second = 1\n",
        file.display()
    );
    let conf = limits(&section).unwrap();
    let at = Duration::from_secs;
    let (mut watch, first) = RateLimitWatch::new(conf, at(0));
    assert!(matches!(first, RateLimitEvent::Kept(_)));
    let write = |text: &str| fs::write(&file, text).unwrap();
    write("[backend_ratelimit]\nrequests_per_device_per_second = 7\n");
    assert!(matches!(watch.poll(at(59)), RateLimitEvent::NotDue));
    assert!(matches!(watch.poll(at(60)), RateLimitEvent::Changed));
    assert_eq!(
        (watch.rates().aggregate, watch.rates().of("PUT")),
        (7.0, Some(3.0))
    );
    assert!(matches!(watch.poll(at(120)), RateLimitEvent::Unchanged));
    for broken in [
        "[backend_ratelimit]\nrequests_per_device_per_second = -7\n",
        "junk",
        "[other]\n",
    ] {
        write(broken);
        assert!(
            matches!(watch.look_again(), RateLimitEvent::Kept(_)),
            "{broken}"
        );
        assert_eq!(watch.rates().aggregate, 7.0);
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(watch.look_again(), RateLimitEvent::Kept(_)));
    assert!(matches!(watch.look_again(), RateLimitEvent::Absent));
    write("[backend_ratelimit]\n");
    assert!(matches!(watch.look_again(), RateLimitEvent::Changed));
    assert_eq!(watch.rates().aggregate, 1.0);
}

/// A failure would mean that a sync URL is signed with a wrong key or sent to a wrong place.
#[test]
fn realms_are_what_swift_recorded() {
    let text = "[DEFAULT]\nkey=dk\n[Realm1]\nKey = K1\nkey2=k2\ncluster_C1 = http://h/v1/\nCluster_x y = u\n[realm2]\nfoo=1\n";
    let realms = Realms::parse(text.as_bytes(), Path::new("r.conf")).unwrap();
    assert_eq!(
        realms.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        ["REALM1", "REALM2"]
    );
    assert_eq!(
        (realms.key("rEALM1"), realms.key2("realm1")),
        (Some("K1"), Some("k2"))
    );
    assert_eq!(
        (realms.key("realm2"), realms.key("realm3")),
        (Some("dk"), None)
    );
    assert_eq!(realms.endpoint("realm1", "c1"), Some("http://h/v1/"));
    assert_eq!(realms.endpoint("realm1", "X Y"), Some("u"));
    assert!(!format!("{realms:?}").contains("K1"));
    let twice = Realms::parse(b"[a]\nkey=1\n[A]\nkey=2\n", Path::new("r.conf")).unwrap();
    assert_eq!(twice.key("a"), Some("2"));
}

/// A failure would mean that new keys are not seen, or that a broken file drops good ones.
#[test]
fn realms_are_read_again_when_the_file_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("realms.conf");
    let at = Duration::from_secs;
    let write = |text: &[u8], second: u64| {
        fs::write(&path, text).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + at(second))
            .unwrap();
    };
    let (mut file, first) = RealmsFile::new(&path, at(0));
    assert!(matches!(first, RealmsEvent::Absent));
    write(b"[DEFAULT]\nmtime_check_interval = 5\n[a]\nkey=1\n", 100);
    assert!(matches!(file.poll(at(299)), RealmsEvent::Unchanged));
    assert!(matches!(file.poll(at(300)), RealmsEvent::Loaded(None)));
    assert_eq!(
        (file.realms().key("A"), file.interval()),
        (Some("1"), at(5))
    );
    for (step, broken) in [
        &b"junk\n"[..],
        b"[a]\nkey=5%\n",
        b"[a]\nkey=\xff\n",
        b"[a]\n[a]\n",
    ]
    .iter()
    .enumerate()
    {
        write(broken, 200 + step as u64);
        assert!(matches!(
            file.poll(at(400 + 10 * step as u64)),
            RealmsEvent::Kept(_)
        ));
        assert_eq!(file.realms().key("a"), Some("1"));
    }
    assert!(matches!(file.poll(at(500)), RealmsEvent::Unchanged));
    write(b"[DEFAULT]\nmtime_check_interval = x\n[b]\nkey=2\n", 300);
    assert!(matches!(file.poll(at(600)), RealmsEvent::Loaded(Some(_))));
    assert_eq!(
        (file.realms().key("b"), file.interval()),
        (Some("2"), at(5))
    );
}
