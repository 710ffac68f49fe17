//! Server files, against what Swift 2.38.3 and PasteDeploy gave for the same text.

use std::path::{Path, PathBuf};
use std::time::Duration;

use swift_conf::paste::PasteConf;
use swift_conf::server_conf::{Filter, KeepAlive, LogTarget, Workers};
use swift_conf::value::FallocateReserve;
use swift_conf::{Error, ErrorKind, ServerConf, ServerKind};

const TAIL: &str = "[pipeline:main]\npipeline = healthcheck recon account-server\n\
    [filter:healthcheck]\nuse = egg:swift#healthcheck\n[filter:recon]\nuse = egg:swift#recon\n\
    [app:account-server]\nuse = egg:swift#account\n";

fn account(text: &str) -> Result<ServerConf, Error> {
    ServerConf::parse(
        text.as_bytes(),
        Path::new("/etc/swift/a.conf"),
        ServerKind::Account,
    )
}

fn container(app: &str) -> Result<ServerConf, Error> {
    let text = format!(
        "[DEFAULT]\nbind_port = 6201\n[pipeline:main]\npipeline = container-server\n\
         [app:container-server]\nuse = egg:swift#container\n{app}"
    );
    ServerConf::parse(text.as_bytes(), Path::new("c.conf"), ServerKind::Container)
}

/// Refuses `[DEFAULT]` options and returns the message.
fn refusal(defaults: &str) -> String {
    account(&format!("[DEFAULT]\n{defaults}\n{TAIL}"))
        .expect_err(defaults)
        .to_string()
}

fn option(text: &str, component: &str, name: &str) -> Option<String> {
    let conf = PasteConf::parse(text.as_bytes(), Path::new("/etc/swift/a.conf"));
    let conf = conf.expect("the text is good");
    let pipeline = conf
        .pipeline(&[("log_name", "G")])
        .expect("the pipeline is good");
    let mut all = pipeline.filters.iter().chain([&pipeline.app]);
    let found = all
        .find(|one| one.name == component)
        .expect("the pipeline names it");
    found.options.get(name).map(str::to_owned)
}

/// A failure would mean that an option of an operator's file has another value than in Swift.
#[test]
fn precedence_is_what_swift_recorded() {
    let text = format!(
        "[DEFAULT]\nbind_port = 6202\nlog_name = d\nlog_level = INFO\n{TAIL}\
         log_level = DEBUG\nset log_name = app\nonly = 1\nset  spaced  = 5\nset_x = 2\n\
         set mount_check=false\nmount_check = true\n"
    );
    let app = |name| option(&text, "account-server", name);
    assert_eq!(app("log_level").as_deref(), Some("INFO"));
    assert_eq!(app("log_name").as_deref(), Some("app"));
    assert_eq!(app("only").as_deref(), Some("1"));
    assert_eq!(app("spaced").as_deref(), Some("5"));
    assert_eq!(app("set_x").as_deref(), Some("2"));
    assert_eq!(app("mount_check").as_deref(), Some("true"));
    assert_eq!(option(&text, "recon", "log_name").as_deref(), Some("G"));
    assert_eq!(option(&text, "recon", "only"), None);
}

/// A failure would mean that `set`, `get` or `use` of a section is read otherwise than in Swift.
#[test]
fn set_get_and_use_are_what_swift_recorded() {
    let piped = TAIL.replace(
        "[filter:healthcheck]",
        "set log_name = fromp\n[filter:healthcheck]",
    );
    assert_eq!(
        option(&piped, "recon", "log_name").as_deref(),
        Some("fromp")
    );
    let both = format!("[DEFAULT]\nset x = 1\nx = 2\n{TAIL}");
    assert_eq!(option(&both, "recon", "x").as_deref(), Some("1"));
    let late = format!("[DEFAULT]\nx = 2\n{TAIL}set x = 3\ny = %(x)s\nSet x = 4\nget zz = x\n");
    assert_eq!(option(&late, "account-server", "x").as_deref(), Some("3"));
    assert_eq!(option(&late, "account-server", "y").as_deref(), Some("2"));
    assert_eq!(option(&late, "account-server", "zz").as_deref(), Some("3"));
    assert_eq!(option(&late, "recon", "x").as_deref(), Some("2"));
    let based = "[DEFAULT]\nbind_port=1\n[pipeline:main]\npipeline = a\n\
        [app:a]\nuse = other\nx=1\n[app:other]\nuse = egg:swift#account\nx=2\ny=3\nset bind_port=9\n";
    assert_eq!(option(based, "a", "x").as_deref(), Some("1"));
    assert_eq!(option(based, "a", "y").as_deref(), Some("3"));
    assert_eq!(option(based, "a", "bind_port").as_deref(), Some("9"));
}

/// A failure would mean that `%(here)s` or an empty default resolves otherwise than in Swift.
#[test]
fn references_of_servers_are_what_swift_recorded() {
    let text =
        format!("[DEFAULT]\nempty =\nz = %(empty)s\n{TAIL}a = %(here)s/x\nb = %(__file__)s\n");
    assert_eq!(
        option(&text, "account-server", "z").as_deref(),
        Some("%(empty)s")
    );
    assert_eq!(
        option(&text, "account-server", "a").as_deref(),
        Some("/etc/swift/x")
    );
    assert_eq!(
        option(&text, "account-server", "b").as_deref(),
        Some("/etc/swift/a.conf")
    );
}

/// A failure would mean that a file which Swift refuses starts a server, or the reverse.
#[test]
fn section_forms_are_read_or_refused_as_recorded() {
    let head = "[DEFAULT]\nbind_port = 1\n";
    let read = [
        "[pipeline: main ]\npipeline = account-server\n[app: account-server]\nuse = egg:swift#account\n",
        "[pipeline:main]\npipeline = egg:swift#healthcheck egg:swift#account\n[app:account-server]\nuse = egg:swift#account\n",
        "[pipeline:main]\npipeline = account-server\n[application:account-server]\nuse = egg:swift#account\n",
        "[app:main]\nuse = egg:swift#account\n[app:account-server]\nuse = main\n",
    ];
    for text in read {
        account(&format!("{head}{text}")).expect(text);
    }
    let app = "[app:account-server]\nuse = egg:swift#account\n";
    let refused = [
        format!("[pipeline:main]\npipeline = account-server\nfoo = 1\n{app}"),
        format!("[pipeline:main]\n{app}"),
        format!("[pipeline:main]\npipeline =\n{app}"),
        format!("[pipeline:main]\npipeline = nope account-server\n{app}"),
        format!("[pipeline:main]\npipeline = account-server healthcheck\n{app}[filter:healthcheck]\nuse = egg:swift#healthcheck\n"),
        format!("[app:main]\nuse = egg:swift#account\n[pipeline:main]\npipeline = account-server\n{app}"),
        "[pipeline:main]\npipeline = account-server\n[app:account-server]\nx = 1\n".to_owned(),
        "[pipeline:main]\npipeline = account-server\n[app:account-server]\nuse = egg:swift\n".to_owned(),
        "[pipeline:main]\npipeline = account-server\n[app:account-server]\nuse = egg:swift#container\n".to_owned(),
        "[pipeline:main]\npipeline = account-server\n[app:account-server]\nuse = account-server\n".to_owned(),
        format!("[pipeline:main]\npipeline = account-server\n{app}filter-with = x\n"),
        format!("[pipeline:main]\npipeline = account-server\n{app}get a = nope\n"),
        String::new(),
    ];
    for text in refused {
        account(&format!("{head}{text}")).expect_err(&text);
    }
    for inherited in ["use = egg:swift#account\n", "pipeline = x\n"] {
        account(&format!("{head}{inherited}{TAIL}")).expect_err(inherited);
    }
}

/// A failure would mean that a server without options differs from Swift's.
#[test]
fn defaults_are_swifts() {
    let conf = account(&format!("[DEFAULT]\nbind_port = 6202\n{TAIL}")).unwrap();
    assert_eq!(
        (conf.listen.bind_ip.as_str(), conf.listen.bind_port),
        ("0.0.0.0", 6202)
    );
    assert_eq!((conf.listen.backlog, conf.listen.keep_idle), (4096, 600));
    assert_eq!(conf.process.workers, Workers::Auto);
    assert_eq!(conf.process.client_timeout, Duration::from_secs(60));
    assert_eq!(conf.process.keepalive_timeout, KeepAlive::ClientTimeout);
    assert_eq!(conf.fallocate_reserve, FallocateReserve::Percent(1.0));
    assert_eq!(conf.devices, PathBuf::from("/srv/node"));
    assert_eq!(conf.log.name, "account-server");
    assert_eq!((conf.log.level.as_str(), conf.log.facility), ("INFO", 16));
    assert_eq!(conf.log.target, LogTarget::Socket("/dev/log".into()));
    assert!(conf.mount_check && conf.replication_server && conf.log.requests);
    assert!(!conf.disable_fallocate && !conf.db_preallocation && !conf.db_query_logging);
    assert!(conf.container.is_none() && conf.statsd.is_none());
    assert!(matches!(
        conf.pipeline[0].filter,
        Filter::HealthCheck { disable_path: None }
    ));
    assert!(matches!(conf.pipeline[1].filter, Filter::Recon { .. }));
    assert_eq!(conf.engines.default, "sqlite");
}

/// A failure would mean that an option is read into the wrong field or not at all.
#[test]
fn options_are_typed() {
    let conf = container(
        "set bind_port = 6301\nworkers = 0\nkeepalive_timeout = 0\nfallocate_reserve = 10737418240\n\
         mount_check = off\nallowed_sync_hosts = a, ,B.c,\nnode_timeout = 1.5\nallow_versions = Yes\n\
         log_udp_host = l\nlog_facility = LOG_LOCAL3\nlog_statsd_host = s\nlog_level = nonsense\n",
    )
    .unwrap();
    let only = conf.container.unwrap();
    assert_eq!(conf.listen.bind_port, 6301);
    assert_eq!(conf.process.workers, Workers::Foreground);
    assert_eq!(conf.process.keepalive_timeout, KeepAlive::Disabled);
    assert_eq!(
        conf.fallocate_reserve,
        FallocateReserve::Bytes(10_737_418_240)
    );
    assert!(!conf.mount_check && only.allow_versions);
    assert_eq!(only.allowed_sync_hosts, ["a", "B.c"]);
    assert_eq!(only.node_timeout, Duration::from_millis(1500));
    assert_eq!(
        conf.log.target,
        LogTarget::Udp {
            host: "l".into(),
            port: 514
        }
    );
    assert_eq!((conf.log.facility, conf.log.level.as_str()), (19, "INFO"));
    assert_eq!(conf.statsd.unwrap().port, 8125);
}

/// A failure would mean that a value which cannot work starts a server.
#[test]
fn bad_values_are_refused_with_file_line_and_option() {
    let bad = [
        "bind_port = 0",
        "bind_port = 65536",
        "bind_port = x",
        "bind_port =",
        "keep_idle = 0",
        "keep_idle = 32767",
        "workers = many",
        "workers = -1",
        "workers =",
        "max_clients = 0",
        "client_timeout = -1",
        "client_timeout = nan",
        "keepalive_timeout = x",
        "backlog = 1.5",
        "fallocate_reserve = 1.5",
        "fallocate_reserve = %",
        "fallocate_reserve = 1K",
        "fallocate_reserve =",
        "log_statsd_port = x",
        "stale_worker_timeout = -1",
        "nice_priority = 20",
        "ionice_class = FAST",
        "log_statsd_default_sample_rate = x",
    ];
    for line in bad {
        let name = line.split(' ').next().unwrap();
        let port = if name == "bind_port" {
            ""
        } else {
            "bind_port = 6202"
        };
        let message = refusal(&format!("{port}\n{line}"));
        let wanted = format!("a.conf line 3, [app:account-server], option {name}: ");
        assert!(message.contains(&wanted), "{message}");
        assert!(message.contains("; "), "{message}");
    }
    let message = refusal("");
    assert!(
        message.contains("option bind_port: it is not set; set it to"),
        "{message}"
    );
}

/// A failure would mean that a pipeline loses a filter without a word.
#[test]
fn unknown_filters_are_refused_with_the_known_ones() {
    let text = format!("[DEFAULT]\nbind_port=1\n{TAIL}").replace("swift#recon", "swift#xprofile");
    let error = account(&text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    let known = "known filters are backend_ratelimit, healthcheck, recon";
    assert!(
        error
            .to_string()
            .contains("[filter:recon]: there is no filter egg:swift#xprofile")
    );
    assert!(error.to_string().contains(known));
}

/// A failure would mean that a device is opened with another engine or other settings.
#[test]
fn engines_are_chosen_by_default_and_by_device() {
    let conf = container(
        "engine = rocksdb\nengine.sdb1 = sqlite\n[engine:rocksdb]\ndurability = disk\n\
         block_cache_mb = 512\n[engine: sled ]\n",
    )
    .unwrap();
    assert_eq!(conf.engines.of_device("sdb1"), "sqlite");
    assert_eq!(conf.engines.of_device("sdc1"), "rocksdb");
    let settings = conf.engines.settings_of("rocksdb");
    assert_eq!(settings["durability"], "disk");
    assert_eq!(settings.len(), 2);
    assert!(conf.engines.settings["sled"].is_empty());
    for bad in [
        "engine =\n",
        "engine. = x\n",
        "engine.sda1/.. = x\n",
        "engine... = x\n",
        "[engine:]\n",
        "[engine:a]\n[engine: a]\n",
    ] {
        container(bad).expect_err(bad);
    }
}

/// A failure would mean that the servers do not start with Swift's conf.d layout.
#[test]
fn a_directory_serves_as_one_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("1.conf"),
        "[DEFAULT]\nbind_port = 1\ndevices = %(here)s/d\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("2.conf"),
        format!("[DEFAULT]\nbind_port = 2\n{TAIL}"),
    )
    .unwrap();
    let conf = ServerConf::load(dir.path(), ServerKind::Account).unwrap();
    assert_eq!(conf.listen.bind_port, 2);
    assert_eq!(conf.devices, dir.path().join("d"));
}
