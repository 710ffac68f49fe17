//! HEAD and GET of a container.

use std::sync::Arc;

use broker_api::{
    BrokerOptions, ContainerBroker, ContainerInfo, ListObjects, ListingQuery, PolicyFilter,
    PolicyIndex, Timestamp, TimestampText,
};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderName, LAST_MODIFIED};

use super::write::{is_kept, set_policy};
use super::{Call, X_BACKEND_RECORD_TYPE, timed};
use crate::accept::{self, Choice};
use crate::body::Response;
use crate::device;
use crate::header_names;
use crate::listing::{Listing, ObjectLister, Root};
use crate::log::date::HttpDate;
use crate::query::{ContainerListing, Query};
use crate::request::{self, X_BACKEND_ALLOW_RESERVED_NAMES, X_PUT_TIMESTAMP, X_TIMESTAMP};
use crate::response::{self, Answer, Refused};
use crate::status::{OrRefuse, stored_metadata};
use crate::transport::Reason;

const X_BACKEND_RECORD_STORAGE_POLICY_INDEX: HeaderName =
    HeaderName::from_static("x-backend-record-storage-policy-index");

const X_BACKEND_TIMESTAMP: HeaderName = HeaderName::from_static("x-backend-timestamp");
const X_BACKEND_PUT_TIMESTAMP: HeaderName = HeaderName::from_static("x-backend-put-timestamp");
const X_BACKEND_DELETE_TIMESTAMP: HeaderName =
    HeaderName::from_static("x-backend-delete-timestamp");
const X_BACKEND_STATUS_CHANGED_AT: HeaderName =
    HeaderName::from_static("x-backend-status-changed-at");
const X_BACKEND_SHARDING_STATE: HeaderName = HeaderName::from_static("x-backend-sharding-state");
const X_CONTAINER_OBJECT_COUNT: HeaderName = HeaderName::from_static("x-container-object-count");
const X_CONTAINER_BYTES_USED: HeaderName = HeaderName::from_static("x-container-bytes-used");
/// Headers that a read answers with, and room for some of metadata.
const USUAL_HEADERS: usize = 20;

impl Call<'_> {
    pub(super) async fn head(&self) -> Answer {
        let format = Query::new(self.parts.uri.query()).text("format")?;
        let choice = accept::negotiate(&format, &self.parts.headers)?;
        let device = self.target.device;
        device::check(self.context, device).await?;
        let broker = self.broker(&BrokerOptions::for_reading())?;
        let info = broker.info().await.or_refuse(device)?;
        let Some(info) = info.as_ref().filter(|info| !info.is_deleted()) else {
            return Err(gone(info.as_ref()));
        };
        let mut response = response::with_no_body(StatusCode::NO_CONTENT, choice.content_type());
        self.describe(&mut response, info)?;
        Ok(response)
    }

    pub(super) async fn get(&self) -> Answer {
        let headers = &self.parts.headers;
        let query = Query::new(self.parts.uri.query());
        let allow_reserved = request::is_true(headers, &X_BACKEND_ALLOW_RESERVED_NAMES);
        let most = self.context.constraints.container_listing_limit;
        let listing = query.container_listing(most, allow_reserved)?;
        let choice = accept::negotiate(&listing.format, headers)?;
        let device = self.target.device;
        device::check(self.context, device).await?;
        let broker = self.broker(&BrokerOptions::for_reading())?;
        let info = broker.info().await.or_refuse(device)?;
        // No state there is makes `auto` mean shard ranges.
        if self.record_type() == "shard" {
            return timed(
                "GET_shard",
                self.get_shards(info.as_ref(), &listing, choice),
            );
        }
        let objects = self.get_objects(broker, info.as_ref(), listing, choice);
        timed("GET_object", objects.await)
    }

    async fn get_objects(
        &self,
        broker: Arc<dyn ContainerBroker>,
        info: Option<&ContainerInfo>,
        listing: ContainerListing,
        choice: Choice,
    ) -> Answer {
        let policy = self.policy_index()?;
        let Some(info) = info.filter(|info| !info.is_deleted()) else {
            return Err(gone(info));
        };
        let policy = policy.unwrap_or(info.policy_index);
        let mut query = ListObjects::new(ListingQuery::default());
        query.policy = PolicyFilter::Only(policy);
        let lister = ObjectLister { broker, query };
        let root = Root::Container(self.target.container.to_owned());
        let listing = Listing::new(lister, listing.names, choice, root);
        let mut response = listing.respond().await.or_refuse(self.target.device)?;
        say_ok_when_empty(&mut response);
        self.describe(&mut response, info)?;
        response::set(&mut response, X_BACKEND_RECORD_TYPE, "object");
        response::set_number(
            &mut response,
            X_BACKEND_RECORD_STORAGE_POLICY_INDEX,
            policy.0,
        );
        Ok(response)
    }

    /// Adds what every successful read says about the container.
    pub(super) fn describe(
        &self,
        response: &mut Response,
        info: &ContainerInfo,
    ) -> Result<(), Refused> {
        describe_times(response, Some(info));
        let store = &info.store;
        let put = store.put_timestamp.value();
        response::set_owned(response, X_TIMESTAMP, store.created_at.value().normal());
        response::set_owned(response, X_PUT_TIMESTAMP, put.normal());
        response::set_number(response, X_CONTAINER_OBJECT_COUNT, info.object_count());
        response::set_number(response, X_CONTAINER_BYTES_USED, info.bytes_used());
        response::set(response, X_BACKEND_SHARDING_STATE, info.db_state.as_str());
        let mut modified = Vec::with_capacity(HttpDate::LENGTH);
        HttpDate::at(put.ceil_seconds()).write(&mut modified);
        response::set_owned(response, LAST_MODIFIED, modified);
        let metadata = stored_metadata(store)?;
        for entry in metadata.entries() {
            let is_kept = || is_kept(&entry.key.to_lowercase(), self.context);
            if let Some(value) = entry.text().filter(|value| !value.is_empty() && is_kept()) {
                header_names::set(response, &entry.key, value);
            }
        }
        Ok(())
    }
}

/// 404 to a read: says how the container came to be gone, which the proxy weighs against other
/// replicas.
pub(super) fn gone(info: Option<&ContainerInfo>) -> Refused {
    let mut response = response::page(StatusCode::NOT_FOUND);
    describe_times(&mut response, info);
    response.into()
}

/// Adds the headers of every read, successful or not; without a store all times are zero.
fn describe_times(response: &mut Response, info: Option<&ContainerInfo>) {
    let store = info.map(|info| &info.store);
    let times = [
        (X_BACKEND_TIMESTAMP, store.map(|store| &store.created_at)),
        (
            X_BACKEND_PUT_TIMESTAMP,
            store.map(|store| &store.put_timestamp),
        ),
        (
            X_BACKEND_DELETE_TIMESTAMP,
            store.map(|store| &store.delete_timestamp),
        ),
        (
            X_BACKEND_STATUS_CHANGED_AT,
            store.map(|store| &store.status_changed_at),
        ),
    ];
    response.headers_mut().reserve(USUAL_HEADERS);
    for (name, time) in times {
        let time = time.map_or(Timestamp::ZERO, TimestampText::value);
        response::set_owned(response, name, time.internal());
    }
    set_policy(
        response,
        info.map_or(PolicyIndex(0), |info| info.policy_index),
    );
}

/// Gives an empty text listing of a container the status line and length that Swift gives it.
pub(super) fn say_ok_when_empty(response: &mut Response) {
    if response.status() == StatusCode::NO_CONTENT {
        response.extensions_mut().insert(Reason("OK"));
        response::set(response, CONTENT_LENGTH, "0");
    }
}
