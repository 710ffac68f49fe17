//! Everything that is logged through `tracing`, on its way to the same sink as request lines.

use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::request::with_txn_id;
use super::sink::{Level, LogSink};

/// Writes `tracing` events to a [`LogSink`], with the transaction id of the request in which they
/// happen.
#[derive(Debug, Clone)]
pub struct LogLayer {
    sink: LogSink,
}

impl LogLayer {
    /// Makes a layer for a sink.
    pub fn new(sink: LogSink) -> Self {
        Self { sink }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = level_of(event.metadata().level());
        if !self.sink.is_enabled(level) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let Text {
            mut message,
            fields,
        } = text;
        message.push_str(&fields);
        with_txn_id(|txn_id| self.sink.write(level, message.trim_start(), txn_id));
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let levels = [
            (Level::Debug, LevelFilter::DEBUG),
            (Level::Info, LevelFilter::INFO),
            (Level::Warning, LevelFilter::WARN),
            (Level::Error, LevelFilter::ERROR),
        ];
        let most = levels
            .iter()
            .find(|(level, _)| self.sink.is_enabled(*level));
        Some(most.map_or(LevelFilter::OFF, |(_, filter)| *filter))
    }
}

fn level_of(level: &tracing::Level) -> Level {
    match *level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warning,
        tracing::Level::INFO => Level::Info,
        _ => Level::Debug,
    }
}

/// An event's message, and its fields as ` name=value`.
#[derive(Debug, Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::super::sink::{LogSinkOptions, Target};
    use super::*;

    /// What a library reports can be found in the log with its values.
    #[test]
    fn events_become_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let receiver = UnixDatagram::bind(&path).unwrap();
        receiver
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let sink = LogSink::start(LogSinkOptions {
            name: "x".to_owned(),
            level: Level::Info,
            facility: 1,
            target: Target::Socket(path),
            max_line_length: 0,
        });
        let layer = LogLayer::new(sink.unwrap());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("hidden");
            tracing::warn!(device = "sda1", error = %"gone\nfar", "cannot open");
        });
        let mut buffer = [0; 100];
        let count = receiver.recv(&mut buffer).unwrap();
        assert_eq!(
            &buffer[..count],
            b"<12>x: cannot open device=\"sda1\" error=gone#012far\0"
        );
    }
}
