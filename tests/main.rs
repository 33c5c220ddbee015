//! The one integration test binary.

#[cfg(test)]
mod dev {
    mod private_postgres;
}
