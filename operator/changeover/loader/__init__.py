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
    --start-at EPOCH_SECONDS    begins the warm-up at one instant in all pods. Their phases are staggered by nothing but
                                the start of a process, which takes some ms: at rates so low that this is little of the
                                time between two requests, those of several pods come in pairs
    --conformance               checks of the protocol before the load; reported, never a reason to stop
"""
