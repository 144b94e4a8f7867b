"""What tests are written with: a client, made-up requests, and a runner for commands."""
