//! HEAD and GET of an account.

use std::sync::Arc;

use broker_api::{AccountInfo, BrokerOptions};
use http::StatusCode;
use http::header::HeaderName;

use super::{Call, gone, mark_deleted};
use crate::accept;
use crate::body::Response;
use crate::device;
use crate::header_names::{self, canonical_case};
use crate::listing::{AccountLister, Listing, Root};
use crate::query::Query;
use crate::request::{self, X_BACKEND_ALLOW_RESERVED_NAMES, X_PUT_TIMESTAMP, X_TIMESTAMP};
use crate::response::{self, Answer, Refused};
use crate::status::{OrRefuse, stored_metadata};

const X_ACCOUNT_CONTAINER_COUNT: HeaderName = HeaderName::from_static("x-account-container-count");
const X_ACCOUNT_OBJECT_COUNT: HeaderName = HeaderName::from_static("x-account-object-count");
const X_ACCOUNT_BYTES_USED: HeaderName = HeaderName::from_static("x-account-bytes-used");

impl Call<'_> {
    pub(super) async fn head(&self) -> Answer {
        let format = Query::new(self.parts.uri.query()).text("format")?;
        let choice = accept::negotiate(&format, &self.parts.headers)?;
        device::check(self.context, self.target.device).await?;
        let broker = self.broker(&BrokerOptions::for_reading())?;
        let info = broker.info().await.or_refuse(self.target.device)?;
        let info = live(info)?;
        let mut response = response::with_no_body(StatusCode::NO_CONTENT, choice.content_type());
        self.describe(&mut response, &info)?;
        Ok(response)
    }

    pub(super) async fn get(&self) -> Answer {
        let query = Query::new(self.parts.uri.query());
        let allow_reserved = request::is_true(&self.parts.headers, &X_BACKEND_ALLOW_RESERVED_NAMES);
        let most = self.context.constraints.account_listing_limit;
        let names = query.account_listing(most, allow_reserved)?;
        let choice = accept::negotiate(&query.text("format")?, &self.parts.headers)?;
        let device = self.target.device;
        device::check(self.context, device).await?;
        let broker = self.broker(&BrokerOptions::for_reading())?;
        let info = live(broker.info().await.or_refuse(device)?)?;
        let lister = AccountLister {
            broker,
            policies: Arc::clone(&self.context.policies),
        };
        let root = Root::Account(self.target.account.to_owned());
        let listing = Listing::new(lister, names, choice, root);
        let mut response = listing.respond().await.or_refuse(device)?;
        self.describe(&mut response, &info)?;
        Ok(response)
    }

    /// Adds what every successful read says about the account.
    fn describe(&self, response: &mut Response, info: &AccountInfo) -> Result<(), Refused> {
        let store = &info.store;
        let times = [
            (X_TIMESTAMP, store.created_at.value()),
            (X_PUT_TIMESTAMP, store.put_timestamp.value()),
        ];
        for (name, time) in times {
            response::set_owned(response, name, time.normal());
        }
        let totals = [
            (X_ACCOUNT_CONTAINER_COUNT, info.container_count),
            (X_ACCOUNT_OBJECT_COUNT, info.object_count),
            (X_ACCOUNT_BYTES_USED, info.bytes_used),
        ];
        for (name, number) in totals {
            response::set_number(response, name, number);
        }
        for stat in &info.policy_stats {
            let index = u32::try_from(stat.policy_index.0).ok();
            let Some(policy) = index.and_then(|index| self.context.policies.by_index(index)) else {
                continue;
            };
            let counts = [
                ("Container-Count", stat.container_count),
                ("Object-Count", Some(stat.object_count)),
                ("Bytes-Used", Some(stat.bytes_used)),
            ];
            for (what, count) in counts {
                let Some(count) = count else { continue };
                let name = format!("X-Account-Storage-Policy-{}-{what}", policy.name);
                header_names::set(response, &canonical_case(&name), &count.to_string());
            }
        }
        let metadata = stored_metadata(store)?;
        // Whatever is stored is sent, but it must not pass for a header of the response itself.
        let is_extension = |key: &str| key.get(..2).is_some_and(|x| x.eq_ignore_ascii_case("x-"));
        for entry in metadata
            .entries()
            .iter()
            .filter(|entry| is_extension(&entry.key))
        {
            if let Some(value) = entry.text().filter(|value| !value.is_empty()) {
                header_names::set(response, &entry.key, value);
            }
        }
        if info.is_status_deleted() {
            mark_deleted(response);
        }
        Ok(())
    }
}

fn live(info: Option<AccountInfo>) -> Result<AccountInfo, Refused> {
    match info {
        Some(info) if !info.is_deleted() => Ok(info),
        info => Err(gone(info.as_ref())),
    }
}
