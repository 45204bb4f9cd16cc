module changeover.dev/examples/backends/go-net-http

go 1.25
