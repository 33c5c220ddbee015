# The dependencies in a layer of their own: a change of our sources does not build them again.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir src \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs \
 && cargo build --release --locked \
 && rm -r src
COPY . .
# cargo compares times, and the sources may be older than the layer above.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/target/release/truegate /truegate
USER 65532:65532
EXPOSE 9999
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/truegate", "health"]
ENTRYPOINT ["/truegate"]
