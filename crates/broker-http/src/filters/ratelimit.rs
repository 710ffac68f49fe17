//! `backend_ratelimit`: refuses requests to a device beyond a rate.
//!
//! Each device has one bucket for all methods and one for each method. A bucket is a moment `t`:
//!
//! ```text
//! if now - t > buffer:  t = now - buffer        unused rate is kept for `buffer` seconds
//! if now >= t:          t += 1 / rate, allow    else refuse
//! ```

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use swift_conf::ratelimit_conf::{METHODS, RateLimitConf, RateLimitEvent, RateLimitWatch, Rates};

use crate::body::{self, Response};
use crate::log::Statsd;

const PAGE: &str = "<html><h1>Too Many Backend Requests</h1><p>The server is incapable of performing the \
     requested operation due to too many requests. Slow down.</p></html>";
/// With more devices than this, buckets that are as good as fresh are dropped.
const MANY_DEVICES: usize = 1024;

/// Refuses requests beyond a rate.
#[derive(Debug)]
pub struct RateLimit {
    state: Mutex<State>,
    begun: Instant,
    statsd: Statsd,
}

#[derive(Debug)]
struct State {
    watch: RateLimitWatch,
    devices: HashMap<String, Buckets>,
}

/// When each bucket allows its next request, in seconds since the filter began.
#[derive(Debug, Clone, Copy)]
struct Buckets {
    aggregate: f64,
    per_method: [f64; METHODS.len()],
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            aggregate: f64::MIN,
            per_method: [f64::MIN; METHODS.len()],
        }
    }
}

impl RateLimit {
    /// Makes the filter, and reads its extra file if there is one.
    pub fn new(conf: RateLimitConf, statsd: Statsd) -> Self {
        let (watch, event) = RateLimitWatch::new(conf, Duration::ZERO);
        let state = State {
            watch,
            devices: HashMap::new(),
        };
        state.report(&event);
        Self {
            state: Mutex::new(state),
            begun: Instant::now(),
            statsd,
        }
    }

    pub(super) fn answer(&self, method: &Method, path: &str) -> Option<Response> {
        let index = METHODS.iter().position(|known| *known == method.as_str())?;
        let device = limited_device(path)?;
        if self.allows(device, index, self.begun.elapsed()) {
            return None;
        }
        self.statsd.increment("backend.ratelimit");
        Some(refusal(method))
    }

    fn allows(&self, device: &str, method: usize, now: Duration) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let event = state.watch.poll(now);
        state.report(&event);
        if state.watch.rates().is_unlimited() {
            return true;
        }
        let State { watch, devices } = &mut *state;
        let rates = watch.rates();
        let now = now.as_secs_f64();
        if devices.len() > MANY_DEVICES {
            devices.retain(|_, buckets| !buckets.are_fresh(now - rates.buffer_seconds));
        }
        if !devices.contains_key(device) {
            devices.insert(device.to_owned(), Buckets::default());
        }
        devices
            .get_mut(device)
            .is_none_or(|buckets| buckets.allow(rates, method, now))
    }
}

impl State {
    fn report(&self, event: &RateLimitEvent) {
        let file = self.watch.file().display();
        match event {
            RateLimitEvent::Changed => tracing::info!("loaded rates from {file}"),
            RateLimitEvent::Kept(error) => {
                tracing::warn!("keeping the rates in force, {file} cannot be used: {error}");
            }
            RateLimitEvent::NotDue | RateLimitEvent::Unchanged | RateLimitEvent::Absent => {}
        }
    }
}

impl Buckets {
    /// Takes from the bucket of all methods, then from the method's own. The first has paid even if
    /// the second refuses.
    fn allow(&mut self, rates: &Rates, method: usize, now: f64) -> bool {
        let buffer = rates.buffer_seconds;
        take(&mut self.aggregate, rates.aggregate, buffer, now)
            && take(
                &mut self.per_method[method],
                rates.per_method[method],
                buffer,
                now,
            )
    }

    fn are_fresh(&self, before: f64) -> bool {
        self.aggregate <= before && self.per_method.iter().all(|next| *next <= before)
    }
}

fn take(next: &mut f64, rate: f64, buffer: f64, now: f64) -> bool {
    if rate <= 0.0 {
        return true;
    }
    if now - *next > buffer {
        *next = now - buffer;
    }
    let allowed = now >= *next;
    if allowed {
        *next += 1.0 / rate;
    }
    allowed
}

/// Returns the device of a path that has a partition, which is a number; `None` for other paths.
fn limited_device(path: &str) -> Option<&str> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let device = segments.next().filter(|device| !device.is_empty())?;
    let partition = segments.next()?;
    let is_number = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(device)
}

fn refusal(method: &Method) -> Response {
    let page = if method == Method::HEAD {
        body::empty()
    } else {
        body::full(PAGE)
    };
    let mut response = Response::new(page);
    // 529 lies in the range that the type allows.
    *response.status_mut() = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let html = HeaderValue::from_static("text/html; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rates: Rates, file: &std::path::Path) -> RateLimit {
        let conf = RateLimitConf {
            rates,
            file: file.to_owned(),
            file_expected: false,
            reload_interval: Some(Duration::from_secs(60)),
        };
        RateLimit::new(conf, Statsd::off())
    }

    fn allowed(limit: &RateLimit, device: &str, method: &str, now: f64) -> bool {
        let method = METHODS.iter().position(|known| *known == method).unwrap();
        limit.allows(device, method, Duration::from_secs_f64(now))
    }

    /// A burst of one buffer is served, then the rate holds, for each device by itself.
    #[test]
    fn rate_and_buffer_hold() {
        let rates = Rates {
            aggregate: 2.0,
            ..Rates::default()
        };
        let limit = limit(rates, "/nonexistent".as_ref());
        let at = |now| {
            (0..5)
                .filter(|_| allowed(&limit, "sda", "GET", now))
                .count()
        };
        assert_eq!(at(10.0), 3);
        assert_eq!(at(10.4), 0);
        assert_eq!(at(10.5), 1);
        assert_eq!(at(20.0), 3);
        assert!(allowed(&limit, "sdb", "GET", 20.0));
    }

    /// A method's own rate counts on top, and a request it refuses still costs the aggregate.
    #[test]
    fn methods_have_their_own_rate() {
        let mut rates = Rates {
            aggregate: 3.0,
            ..Rates::default()
        };
        rates.per_method[0] = 0.5;
        rates.buffer_seconds = 0.0;
        let limit = limit(rates, "/nonexistent".as_ref());
        assert!(allowed(&limit, "sda", "GET", 1.0));
        assert!(!allowed(&limit, "sda", "GET", 1.4), "its own rate refuses");
        assert!(
            !allowed(&limit, "sda", "PUT", 1.5),
            "the refused one has paid"
        );
        assert!(allowed(&limit, "sda", "PUT", 1.8));
    }

    /// Rates change without a restart, and a broken file changes nothing.
    #[test]
    fn rates_are_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("backend-ratelimit.conf");
        let limit = limit(Rates::default(), &file);
        let refused = |now| {
            (0..9)
                .filter(|_| !allowed(&limit, "sda", "GET", now))
                .count()
        };
        let write = |rate| {
            let text = format!("[backend_ratelimit]\nrequests_per_device_per_second = {rate}\n");
            std::fs::write(&file, text).unwrap();
        };
        assert_eq!(refused(1.0), 0);
        write("2");
        assert_eq!(refused(30.0), 0, "it is not yet time to look");
        assert_eq!(refused(61.0), 6);
        write("nonsense");
        assert_eq!(refused(122.0), 6);
        write("0");
        assert_eq!(refused(183.0), 0);
    }

    /// Buckets of devices that come and go do not pile up.
    #[test]
    fn idle_devices_are_forgotten() {
        let rates = Rates {
            aggregate: 1.0,
            ..Rates::default()
        };
        let limit = limit(rates, "/nonexistent".as_ref());
        for device in 0..2 * MANY_DEVICES {
            let now = if device < MANY_DEVICES { 1.0 } else { 100.0 };
            assert!(allowed(&limit, &device.to_string(), "GET", now));
        }
        assert!(limit.state.lock().unwrap().devices.len() <= MANY_DEVICES + 1);
    }

    /// Health checks, recon and odd partitions are never refused.
    #[test]
    fn only_paths_with_a_partition_are_limited() {
        for (path, device) in [
            ("/sda1/1/a", Some("sda1")),
            ("/sda1/12", Some("sda1")),
            ("/sda1/p/a", None),
            ("/sda1/", None),
            ("//1/a", None),
            ("/recon/version", None),
            ("*", None),
        ] {
            assert_eq!(limited_device(path), device, "{path}");
        }
        assert_eq!(PAGE.len(), 152);
    }
}
