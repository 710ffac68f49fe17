//! What Apus costs, beside stock Swift and beside the limits
