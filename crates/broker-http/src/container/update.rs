//! UPDATE: a batch of object rows as JSON.

use broker_api::{
    BrokerOptions, InvalidTimestamp, MergeOptions, ObjectRecord, ObjectTimestamps, PolicyIndex,
    Timestamp,
};
use http::StatusCode;
use serde::Deserialize;

use super::Call;
use crate::body::{self, ReadError, RequestBody};
use crate::device;
use crate::request;
use crate::response::{self, Answer, Refused};
use crate::status::OrRefuse;

/// The largest batch in bytes: several times the 10,000 rows that senders put into one.
const MOST_BODY_BYTES: usize = 32 << 20;

impl Call<'_> {
    pub(super) async fn update(&self, body: RequestBody) -> Answer {
        let at = request::timestamp(&self.parts.headers)?;
        let device = self.target.device;
        device::check_room(self.context, device).await?;
        let policy_index = self.policy_index()?;
        let broker = self.broker(&BrokerOptions::default())?;
        if !broker.exists().await.or_refuse(device)? {
            self.auto_create(&*broker, policy_index, at).await?;
        }
        let records = parse(&read(body).await?)?;
        let merged = broker.merge_items(records, MergeOptions::default()).await;
        merged.or_refuse(device)?;
        Ok(response::page(StatusCode::ACCEPTED))
    }
}

async fn read(body: RequestBody) -> Result<bytes::Bytes, Refused> {
    body::collect(body, MOST_BODY_BYTES)
        .await
        .map_err(|error| match error {
            ReadError::TooLarge => {
                Refused::plain(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
            }
            ReadError::Broken => Refused::bad_request_plain("The body could not be read"),
        })
}

fn parse(bytes: &[u8]) -> Result<Vec<ObjectRecord>, Refused> {
    let items: Vec<Item> = serde_json::from_slice(bytes)
        .map_err(|error| Refused::bad_request_plain(&error.to_string()))?;
    let record = |item: Item| {
        item.into_record()
            .map_err(|error| Refused::bad_request_plain(&error.to_string()))
    };
    items.into_iter().map(record).collect()
}

/// A row as it is sent; keys that are not here are ignored.
#[derive(Deserialize)]
struct Item {
    name: String,
    created_at: String,
    size: i64,
    content_type: String,
    etag: String,
    deleted: Deleted,
    #[serde(default)]
    storage_policy_index: i64,
    ctype_timestamp: Option<String>,
    meta_timestamp: Option<String>,
}

/// Python's numbers and truth values are one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Deleted {
    Number(i64),
    Truth(bool),
}

impl Item {
    fn into_record(self) -> Result<ObjectRecord, InvalidTimestamp> {
        let time = |text: Option<String>| match text.filter(|text| !text.is_empty()) {
            Some(text) => Timestamp::parse(&text).map(Some),
            None => Ok(None),
        };
        Ok(ObjectRecord {
            created_at: ObjectTimestamps::decode(&self.created_at)?,
            ctype_timestamp: time(self.ctype_timestamp)?,
            meta_timestamp: time(self.meta_timestamp)?,
            name: self.name,
            size: self.size,
            content_type: self.content_type,
            etag: self.etag,
            deleted: match self.deleted {
                Deleted::Number(number) => number != 0,
                Deleted::Truth(truth) => truth,
            },
            policy_index: PolicyIndex(self.storage_policy_index),
            row_id: None,
        })
    }
}
