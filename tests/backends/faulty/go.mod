module changeover.dev/tests/backends/faulty

go 1.25
