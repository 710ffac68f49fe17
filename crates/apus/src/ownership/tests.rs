//! Whose a device is, how it becomes that, and what is refused.

use super::*;

const SWIFT: &[&str] = &["accounts", "containers"];

fn registry() -> Registry {
    let mut registry = Registry::default();
    for (name, on_device) in [
        ("sqlite", OnDevice::Swift(SWIFT)),
        ("memory", OnDevice::Nothing),
        ("sled", OnDevice::Folders(&["apus-sled"])),
        ("mine", OnDevice::Folders(&["my-rows"])),
    ] {
        registry.register(EngineEntry {
            on_device,
            ..EngineEntry::new(name, |_| Err("is not opened here".into()))
        });
    }
    registry
}

fn entry(name: &str) -> EngineEntry {
    *registry().find(name).unwrap()
}

fn device() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let device = dir.path().join("sda1");
    fs::create_dir(&device).unwrap();
    (dir, device)
}

fn put_data(device: &Path, folder: &str) {
    fs::create_dir_all(device.join(folder).join("7")).unwrap();
}

fn owner_of(device: &Path) -> Option<(String, bool)> {
    let owner = owner(&registry(), device).unwrap();
    owner.map(|owner| (owner.engine, owner.marked))
}

fn names(device: &Path) -> Vec<String> {
    let entries = fs::read_dir(device).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// A failure would mean that two engines keep their rows on one device, each blind to the other's.
#[test]
fn a_claimed_device_is_refused_to_every_other_engine() {
    let (_dir, device) = device();
    claim(&registry(), &device, &entry("sled")).unwrap();
    claim(&registry(), &device, &entry("sled")).unwrap();
    assert_eq!(owner_of(&device), Some(("sled".into(), true)));
    assert_eq!(names(&device), [MARKER]);
    let text = fs::read_to_string(device.join(MARKER)).unwrap();
    assert_eq!(text, "engine sled, marker version 1\n");
    for other in ["sqlite", "memory", "mine"] {
        let error = claim(&registry(), &device, &entry(other)).unwrap_err();
        let text = error.to_string();
        for part in [
            "sda1",
            "engine.sda1 = sled",
            &format!("--from sled --to {other}"),
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}

/// A failure would mean that a plain Swift disk is littered, or taken for a free one.
#[test]
fn a_swift_disk_is_sqlites_and_gets_no_marker() {
    let (_dir, device) = device();
    claim(&registry(), &device, &entry("sqlite")).unwrap();
    claim(&registry(), &device, &entry("memory")).unwrap();
    assert!(names(&device).is_empty());
    assert_eq!(owner_of(&device), None);
    fs::create_dir(device.join("containers")).unwrap();
    put_data(&device, "objects");
    assert_eq!(owner_of(&device), None, "an empty folder is no data");
    put_data(&device, "accounts");
    assert_eq!(owner_of(&device), Some(("sqlite".into(), false)));
    claim(&registry(), &device, &entry("sqlite")).unwrap();
    assert!(claim(&registry(), &device, &entry("sled")).is_err());
    assert!(!device.join(MARKER).exists());
}

/// A failure would mean that data without a marker is written beside.
#[test]
fn folders_tell_the_owner_when_the_marker_is_lost() {
    let (_dir, device) = device();
    put_data(&device, "my-rows");
    assert_eq!(owner_of(&device), Some(("mine".into(), false)));
    claim(&registry(), &device, &entry("mine")).unwrap();
    assert_eq!(owner_of(&device), Some(("mine".into(), true)));
    fs::remove_file(device.join(MARKER)).unwrap();
    put_data(&device, "containers");
    let error = owner(&registry(), &device).unwrap_err();
    let text = error.to_string();
    let line = "engine sqlite, marker version 1";
    assert!(
        text.contains("sqlite and mine") && text.contains(line),
        "{text}"
    );
    fs::write(device.join(MARKER), line).unwrap();
    assert_eq!(owner_of(&device), Some(("sqlite".into(), true)));
}

/// A failure would mean that a marker of a later version, or half of one, is read as something else.
#[test]
fn a_marker_that_is_not_understood_is_refused() {
    let (_dir, device) = device();
    for text in [
        "",
        "engine sled",
        "engine sled, marker version 2\n",
        "sled\n",
    ] {
        fs::write(device.join(MARKER), text).unwrap();
        let error = claim(&registry(), &device, &entry("sled")).unwrap_err();
        assert!(matches!(error, OwnershipError::Marker { .. }), "{error}");
        assert_eq!(fs::read_to_string(device.join(MARKER)).unwrap(), text);
    }
}

/// A failure would mean that two servers that start together both get a free device.
#[test]
fn one_of_many_claims_at_once_wins() {
    let (_dir, device) = device();
    let claims: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|i| {
                let (registry, device) = (registry(), &device);
                let wanted = entry(["sled", "mine"][i % 2]);
                scope.spawn(move || (wanted.name, claim(&registry, device, &wanted).is_ok()))
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let (winner, _) = owner_of(&device).unwrap();
    for (name, won) in claims {
        assert_eq!(won, name == winner, "{name}, and {winner} owns it");
    }
    assert_eq!(names(&device), [MARKER]);
}

/// A failure would mean that converted data is not served, or that the old data is served again.
#[test]
fn a_device_is_handed_over_and_back() {
    let (_dir, device) = device();
    put_data(&device, "accounts");
    put_data(&device, "apus-sled");
    transfer(&registry(), &device, "sqlite", &entry("sled")).unwrap();
    transfer(&registry(), &device, "sqlite", &entry("sled")).unwrap();
    assert_eq!(owner_of(&device), Some(("sled".into(), true)));
    let error = transfer(&registry(), &device, "mine", &entry("sqlite")).unwrap_err();
    assert!(matches!(error, OwnershipError::Owned { .. }), "{error}");
    transfer(&registry(), &device, "sled", &entry("sqlite")).unwrap();
    let while_both_are_there = owner_of(&device);
    assert_eq!(while_both_are_there, Some(("sqlite".into(), true)));
    fs::remove_dir_all(device.join("apus-sled")).unwrap();
    transfer(&registry(), &device, "sled", &entry("sqlite")).unwrap();
    assert_eq!(owner_of(&device), Some(("sqlite".into(), false)));
    assert_eq!(names(&device), ["accounts"]);
}
