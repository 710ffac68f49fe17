//! PUT, POST and DELETE of an account.

use broker_api::{
    AccountBroker, AccountInfo, BrokerOptions, Initialized, NewAccount, Timestamp, TimestampText,
};
use http::StatusCode;

use super::{Call, gone, mark_deleted};
use crate::context::new_store_id;
use crate::device;
use crate::request::{self, has_prefix};
use crate::response::{self, Answer, HTML, HTML_LOWER, Refused};
use crate::status::OrRefuse;

impl Call<'_> {
    pub(super) async fn put(&self) -> Answer {
        device::check_room(self.context, self.target.device).await?;
        let at = request::timestamp(&self.parts.headers)?;
        let broker = self.broker(&BrokerOptions::default())?;
        let info = broker.info().await.or_refuse(self.target.device)?;
        let status = match &info {
            Some(info) => self.put_existing(&*broker, info, at).await?,
            None => match self.create(&*broker, at).await? {
                Initialized::Created => StatusCode::CREATED,
                Initialized::AlreadyExisted => StatusCode::ACCEPTED,
            },
        };
        self.store_metadata(&*broker, at).await?;
        Ok(match status {
            StatusCode::CREATED => response::with_no_body(status, HTML),
            status => response::page(status),
        })
    }

    async fn put_existing(
        &self,
        broker: &dyn AccountBroker,
        info: &AccountInfo,
        at: Timestamp,
    ) -> Result<StatusCode, Refused> {
        if info.is_status_deleted() {
            let text = "Recently deleted";
            let mut response = response::with_text(StatusCode::FORBIDDEN, HTML_LOWER, text);
            mark_deleted(&mut response);
            return Err(response.into());
        }
        let device = self.target.device;
        broker.update_put_timestamp(at).await.or_refuse(device)?;
        // It may have been deleted since.
        let info = broker.info().await.or_refuse(device)?;
        if info.as_ref().is_some_and(|info| !info.is_deleted()) {
            return Ok(StatusCode::ACCEPTED);
        }
        let mut response = response::page(StatusCode::CONFLICT);
        if info.is_some_and(|info| info.is_status_deleted()) {
            mark_deleted(&mut response);
        }
        Err(response.into())
    }

    pub(super) async fn create(
        &self,
        broker: &dyn AccountBroker,
        at: Timestamp,
    ) -> Result<Initialized, Refused> {
        let new = NewAccount {
            account: self.target.account.to_owned(),
            put_timestamp: TimestampText::from(at),
            created_at: self.context.clock.now(),
            id: new_store_id(self.target.device),
        };
        broker.initialize(&new).await.or_refuse(self.target.device)
    }

    async fn store_metadata(
        &self,
        broker: &dyn AccountBroker,
        at: Timestamp,
    ) -> Result<(), Refused> {
        let keeps = |name: &str| {
            has_prefix(name, "x-account-meta-") || has_prefix(name, "x-account-sysmeta-")
        };
        let updates = request::metadata(self.parts, keeps, &at.internal())
            .map_err(|_| request::metadata_not_utf8())?;
        if updates.is_empty() {
            return Ok(());
        }
        let limits = self.context.metadata_limits();
        let updated = broker.update_metadata(&updates, Some(&limits)).await;
        updated.or_refuse(self.target.device)
    }

    pub(super) async fn post(&self) -> Answer {
        let at = request::timestamp(&self.parts.headers)?;
        device::check_room(self.context, self.target.device).await?;
        let broker = self.broker(&BrokerOptions::default())?;
        let info = broker.info().await.or_refuse(self.target.device)?;
        let Some(info) = info.as_ref().filter(|info| !info.is_deleted()) else {
            return Err(gone(info.as_ref()));
        };
        self.store_metadata(&*broker, at).await?;
        let mut response = response::without_length(StatusCode::NO_CONTENT, HTML);
        if info.is_status_deleted() {
            mark_deleted(&mut response);
        }
        Ok(response)
    }

    pub(super) async fn delete(&self) -> Answer {
        device::check(self.context, self.target.device).await?;
        let at = request::timestamp(&self.parts.headers)?;
        let broker = self.broker(&BrokerOptions::default())?;
        let info = broker.info().await.or_refuse(self.target.device)?;
        let Some(info) = info.as_ref().filter(|info| !info.is_deleted()) else {
            return Err(gone(info.as_ref()));
        };
        broker.delete(at).await.or_refuse(self.target.device)?;
        let mut response = response::with_no_body(StatusCode::NO_CONTENT, HTML_LOWER);
        // The deletion counts unless an earlier one has a later time.
        let counts = TimestampText::from(at) > info.store.delete_timestamp;
        if counts || info.is_status_deleted() {
            mark_deleted(&mut response);
        }
        Ok(response)
    }
}
