"""The load generator's container: verify the target, warm it up, measure it, and print one JSON report.

    python3 -m changeover.loader --url http://10.0.0.7:8080/ --connections 360 --keep-alive true \\
        --warm-up 5 --measure 30 --mode closed

It runs in an image of its own with wrk, oha and nothing but the standard library. Who knows whom:

    __main__ → settings, target, session → wrk, oha, process, meters → report → histogram

histogram, report, wrk.parse_* and oha.parse_* are pure; target, process and meters touch the world.
"""
