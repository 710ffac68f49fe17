"""The configuration files of a host: Swift's, in the form that its own and Apus's servers read."""

from processes import ADDRESS, user_name

HASH_PREFIX = "apus"  # must not change in the life of a folder: it is part of every path under devices/
STORAGE_DOMAIN = "example.net"  # of names such as container.account.example.net (domain_remap)

USERS = {  # user of tempauth: (key, groups)
    "admin_admin": ("admin", ".admin .reseller_admin"),
    "test_tester": ("testing", ".admin"),
    "test_tester2": ("testing2", ".admin"),
    "test_tester3": ("testing3", ""),
    "test2_tester2": ("testing2", ".admin"),
    "test5_tester5": ("testing5", "service"),
    "test6_tester6": ("testing6", ".reseller_admin"),
}

# A server that waits too short a time on a busy machine leaves an update to daemons, which do not run here.
PATIENCE = {
    "account": {},
    "container": {"conn_timeout": 10, "node_timeout": 30},
    "object": {"conn_timeout": 10, "node_timeout": 30, "container_update_timeout": 30},
    "proxy": {"conn_timeout": 10, "node_timeout": 60},
}

PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging cache etag-quoter domain_remap listing_formats bulk tempurl "
    "ratelimit s3api tempauth staticweb copy container-quotas account-quotas slo dlo versioned_writes symlink "
    "proxy-logging proxy-server"
)


def write_configuration(host):
    """Writes every file that a server or a test reads."""
    write(host, "swift.conf", swift_conf(host))
    write(host, "account-server.conf", backend_conf(host, "account"))
    write(host, "container-server.conf", backend_conf(host, "container"))
    if host.settings.proxy:
        write(host, "object-server.conf", backend_conf(host, "object"))
        write(host, "proxy-server.conf", proxy_conf(host))
        write(host, "test.conf", test_conf(host))


def write(host, name, sections):
    """Writes an ini file from {section: {option: value}}."""
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]"] + [f"{option} = {value}" for option, value in options.items()] + [""]
    (host.etc / name).write_text("\n".join(lines))


def swift_conf(host):
    sections = {"swift-hash": {"swift_hash_path_prefix": HASH_PREFIX}}
    for index, name in enumerate(host.settings.policies):
        sections[f"storage-policy:{index}"] = {"name": name, "policy_type": "replication"}
    sections["storage-policy:0"]["default"] = "yes"
    sections["swift-constraints"] = {}
    return sections


def common(host, server):
    """Options that all servers share."""
    return {"bind_ip": ADDRESS, "bind_port": host.ports[server], "user": user_name(), "swift_dir": host.etc,
            "workers": host.settings.workers, "log_level": host.settings.log_level}


def backend_conf(host, server):
    app = {"use": f"egg:swift#{server}"} | PATIENCE[server]
    if host.settings.apus and host.settings.engine and server != "object":
        app["engine"] = host.settings.engine
    return {
        "DEFAULT": common(host, server) | {"devices": host.devices, "mount_check": "false",
                                          "disable_fallocate": "true"} | host.settings.backend_options,
        "pipeline:main": {"pipeline": f"healthcheck recon {server}-server"},
        f"app:{server}-server": app,
        "filter:healthcheck": {"use": "egg:swift#healthcheck"},
        "filter:recon": {"use": "egg:swift#recon", "recon_cache_path": host.folder / "cache"},
    }


def proxy_conf(host):
    users = {f"user_{name}": f"{key} {groups}".strip() for name, (key, groups) in USERS.items()}
    sections = {
        "DEFAULT": common(host, "proxy"),
        "pipeline:main": {"pipeline": PIPELINE},
        "app:proxy-server": {"use": "egg:swift#proxy", "allow_account_management": "true",
                             "account_autocreate": "true"} | PATIENCE["proxy"],
    }
    for name in dict.fromkeys(PIPELINE.split()[:-1]):
        sections[f"filter:{name}"] = {"use": f"egg:swift#{name.replace('-', '_')}"}
    sections["filter:cache"] = {"use": "egg:swift#memcache",
                                "memcache_servers": f"{ADDRESS}:{host.ports['memcached']}"}
    sections["filter:tempauth"] |= users | {"reseller_prefix": "AUTH, SERVICE", "SERVICE_require_group": "service"}
    sections["filter:domain_remap"] |= {"storage_domain": STORAGE_DOMAIN}
    sections["filter:s3api"] |= {"s3_acl": "true", "check_bucket_owner": "true"}
    sections["filter:slo"] |= {"allow_async_delete": "true"}
    sections["filter:versioned_writes"] |= {"allow_versioned_writes": "true", "allow_object_versioning": "true"}
    return sections


def test_conf(host):
    tester = {}
    for suffix, user in (("", "test_tester"), ("2", "test2_tester2"), ("3", "test_tester3"),
                         ("5", "test5_tester5"), ("6", "test6_tester6")):
        account, name = user.split("_")
        tester |= {f"account{suffix}": account, f"username{suffix}": name, f"password{suffix}": USERS[user][0]}
    del tester["account3"]
    s3_users = {"": "test_tester", "2": "test_tester2", "3": "test_tester3"}
    func = {"auth_uri": f"{host.url()}/auth/v1.0", "auth_version": "1"} | tester
    s3api = {"endpoint": host.url(), "region": "us-east-1", "s3_acl_tests_enabled": "true"}
    for suffix, user in s3_users.items():
        access, secret = user.replace("_", ":"), USERS[user][0]
        func |= {f"s3_access_key{suffix}": access, f"s3_secret_key{suffix}": secret}
        s3api |= {f"access_key{suffix or 1}": access, f"secret_key{suffix or 1}": secret}
    func |= {"service_prefix": "SERVICE", "storage_domain": STORAGE_DOMAIN, "collate": "C"}
    return {"func_test": func, "s3api_test": s3api, "unit_test": {"fake_syslog": "False"}, "probe_test": {}}
