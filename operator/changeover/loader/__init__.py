"""The load generator's container: verify the target, warm it up, measure it, and print one JSON report.

    python3 -m changeover.loader --url http://10.0.0.7:8080/ --connections 360 --keep-alive true \\
        --warm-up 5 --measure 30 --mode closed

It runs in an image of its own with wrk, oha, h2load and nothing but the standard library. Who knows whom:

    __main__ → session → conformance → http1
                       → process
                       → drivers → wrk, oha, h2load, process, meters → report → histogram
               session, conformance, drivers → settings, target; settings → ramp

histogram, report, ramp, settings, and the commands and parsers of wrk, oha and h2load are pure; target, http1, process
and meters touch the world. changeover.core.merge adds the reports of several pods, with histogram and report from here.

    --mode closed | open --rate R | ramp --rate START     --driver auto | wrk | oha | h2load
    --start-at EPOCH_SECONDS    begins the warm-up at one instant in all pods. Phases are staggered by the caller, who
                                gives pod I of N the instant + I ÷ (N × rate): below some ms the start of a process,
                                which takes that long, staggers them anyway
    --conformance               checks of the protocol before the load; reported, never a reason to stop
"""
