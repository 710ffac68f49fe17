//! PUT and DELETE of an object row: what object servers report to a container.

use broker_api::{
    BrokerOptions, ContainerBrokerExt, ErrorKind, ObjectRecord, PolicyIndex, Timestamp,
};
use http::{HeaderName, StatusCode};

use super::Call;
use crate::device;
use crate::request::{self, invalid, required, required_number};
use crate::response::{self, Answer, HTML, Refused};
use crate::status::OrRefuse;

const X_SIZE: HeaderName = HeaderName::from_static("x-size");
const X_ETAG: HeaderName = HeaderName::from_static("x-etag");
const X_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-content-type");
const X_CONTENT_TYPE_TIMESTAMP: HeaderName = HeaderName::from_static("x-content-type-timestamp");
const X_META_TIMESTAMP: HeaderName = HeaderName::from_static("x-meta-timestamp");

impl Call<'_> {
    /// Records an object; path, time, device and room are checked already.
    pub(super) async fn put_row(&self, at: Timestamp) -> Answer {
        let policy_index = self.policy_index()?.unwrap_or_default();
        let headers = &self.parts.headers;
        let size = required_number(headers, &X_SIZE, "X-Size")?;
        let content_type = required(headers, &X_CONTENT_TYPE, "X-Content-Type")?;
        let etag = required(headers, &X_ETAG, "X-Etag")?;
        let record = ObjectRecord {
            ctype_timestamp: self
                .row_time(&X_CONTENT_TYPE_TIMESTAMP, "X-Content-Type-Timestamp")?,
            meta_timestamp: self.row_time(&X_META_TIMESTAMP, "X-Meta-Timestamp")?,
            policy_index,
            ..ObjectRecord::put(self.target.object, at, size, content_type, etag)
        };
        self.record(record, at, policy_index).await?;
        Ok(response::with_no_body(StatusCode::CREATED, HTML))
    }

    pub(super) async fn delete_row(&self) -> Answer {
        let at = request::timestamp(&self.parts.headers)?;
        device::check(self.context, self.target.device).await?;
        let policy_index = self.policy_index()?.unwrap_or_default();
        let record = ObjectRecord::delete(self.target.object, at).in_policy(policy_index);
        self.record(record, at, policy_index).await?;
        Ok(response::without_length(StatusCode::NO_CONTENT, HTML))
    }

    /// An optional time of a row; empty counts as absent.
    fn row_time(&self, name: &HeaderName, shown: &str) -> Result<Option<Timestamp>, Refused> {
        match request::text(&self.parts.headers, name) {
            Some(text) if !text.is_empty() => Timestamp::parse(&text)
                .map(Some)
                .map_err(|_| invalid(shown)),
            _ => Ok(None),
        }
    }

    /// One broker call, unless the container has to be made first.
    async fn record(
        &self,
        record: ObjectRecord,
        at: Timestamp,
        policy_index: PolicyIndex,
    ) -> Result<(), Refused> {
        let device = self.target.device;
        let broker = self.broker(&BrokerOptions::default())?;
        // The record is gone with the first try; only accounts that make containers pay for a copy.
        let spare = self.may_auto_create().then(|| record.clone());
        match (broker.put_object(record).await, spare) {
            (Err(error), Some(record)) if error.kind() == ErrorKind::NotFound => {
                self.auto_create(&*broker, Some(policy_index), at).await?;
                broker.put_object(record).await.or_refuse(device)
            }
            (result, _) => result.or_refuse(device),
        }
    }
}
