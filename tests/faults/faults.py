"""All faults, by name."""

from __future__ import annotations

from tests.faults import basic, commands, descriptors, leftovers, meddling, programs, requests, stops
from tests.faults.fault import Fault

FAULTS = (
    Fault("kill hanoverd", basic.kill_hanoverd, storms=True, weight=2),
    Fault("kill hanoverd at request", basic.kill_at_a_request, storms=True, weight=2),
    Fault("kill hanoverd at program", basic.kill_at_a_program, storms=True, weight=2),
    Fault("stop hanoverd", basic.stop_hanoverd, storms=True),
    Fault("app killed", basic.kill_the_app, may_fail=True, storms=True),
    Fault("shim killed", basic.kill_the_shim, may_fail=True),
    Fault("engine killed", basic.kill_the_engine, may_fail=True, storms=True),
    Fault("candidate killed", basic.kill_the_candidate),
    Fault("rules flushed", basic.flush_the_rules, may_fail=True, storms=True),
    Fault("storm of SIGHUPs", basic.storm_of_hangups),
    Fault("broken build", basic.broken_build),
    Fault("full disk", basic.full_disk),
    Fault("clock set", basic.set_the_clock),
    Fault("git host vanishes", basic.git_host_vanishes),
    Fault("registry vanishes", basic.registry_vanishes),
    Fault("hookbot vanishes", basic.hookbot_vanishes),
    Fault("firewall fails", programs.firewall_fails, storms=True),
    Fault("firewall fails in a handover", programs.firewall_fails_in_a_handover, weight=2),
    Fault("firewall fails at a death", programs.firewall_fails_at_a_death),
    Fault("firewall fails at a start", programs.firewall_fails_at_a_start, storms=True, weight=2),
    Fault("conntrack fails", programs.conntrack_fails),
    Fault("conntrack fails at first", programs.conntrack_fails_at_first),
    Fault("engine trouble, one request", requests.one_request, weight=3),
    Fault("engine trouble, a second", requests.a_second, storms=True, weight=2),
    Fault("engine trouble at a start", requests.at_a_start, storms=True, weight=2),
    Fault("engine trouble at a stop", requests.at_a_stop, storms=True),
    Fault("wait refused", requests.wait_refused),
    Fault("no descriptors", descriptors.alone),
    Fault("no descriptors in a handover", descriptors.in_a_handover, storms=True),
    Fault("no descriptors in a drain", descriptors.in_a_drain),
    Fault("hook leaves a process", leftovers.hook_leaves_a_process, weight=2),
    Fault("stop (keep) at a death", stops.keep_at_a_death, may_fail=True),
    Fault("stop (keep) at a death in a drain", stops.keep_at_a_death_in_a_drain, may_fail=True),
    Fault("stop at a death", stops.stop_at_a_death, may_fail=True),
    Fault("stop at a death in a drain", stops.stop_at_a_death_in_a_drain, may_fail=True),
    Fault("second network", meddling.second_network),
    Fault("renamed", meddling.rename),
    Fault("rules flushed while away", meddling.flush_while_away),
    Fault("storm of commands", commands.storm_of_commands),
)
