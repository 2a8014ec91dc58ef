"""Labelled log lines in the layouts of the field's benchmark systems, written from knowledge of their formats.

Each system is a header and templates; ``{x}`` takes a random value of kind x. The label of a line is its template's index.
"""

import random
from collections.abc import Callable

Rng = random.Random


def ip(r: Rng) -> str:
    return ".".join(str(r.randint(1, 254)) for _ in range(4))


def hexa(r: Rng, n: int) -> str:
    return "".join(r.choice("0123456789abcdef") for _ in range(n))


VALUES: dict[str, Callable[[Rng], str]] = {
    "n": lambda r: str(r.choice((r.randint(0, 9), r.randint(10, 99999)))),
    "ip": ip,
    "ipp": lambda r: f"{ip(r)}:{r.randint(1024, 65000)}",
    "blk": lambda r: f"blk_{r.choice(('', '-'))}{r.randint(10**17, 10**19)}",
    "hex": lambda r: "0x" + hexa(r, 8),
    "uuid": lambda r: "-".join(hexa(r, n) for n in (8, 4, 4, 4, 12)),
    "user": lambda r: r.choice(
        ("root", "admin", "oracle", "pgsql", "test", "webmaster", "ftpuser", "guest", "mysql", "uucp")
    ),
    "host": lambda r: r.choice(("ns.marry.com", "cache1.example.net", "host-11-22.static.cn", "proxy.cse.cuhk.edu.hk")),
    "path": lambda r: r.choice(
        ("/var/www/html/", "/etc/httpd/conf/workers2.properties", "/usr/lib/x.so", "/tmp/a/b/c")
    ),
    "attempt": lambda r: f"attempt_14451444{r.randint(10000, 99999)}_0020_m_00000{r.randint(0, 9)}_0",
    "life": lambda r: r.choice(("<1 sec", "00:01", "01:32", "2:10:59")),
    "cls": lambda r: r.choice(("org.apache.hadoop.mapred.Task", "org.apache.x.MapTask", "com.acme.util.Pool", "a.b.C")),
    "float": lambda r: f"{r.random() * 10:.4f}",
    "size": lambda r: f"{r.random() * 99:.1f}",
    "svc": lambda r: r.choice(
        ("sshd", "cupsd", "crond", "named", "gpm", "httpd", "smartd", "acpid", "cpuspeed", "rpc.statd")
    ),
    "state": lambda r: r.choice(("true", "false")),
    "clock": lambda r: f"{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}",
    "node": lambda r: f"R{r.randint(0, 63):02}-M{r.randint(0, 1)}-N{r.randint(0, 9)}",
}

SYSTEMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "hdfs": ("081109 203615 {n} INFO dfs.DataNode$PacketResponder: ", (
        "PacketResponder {n} for block {blk} terminating",
        "Received block {blk} of size {n} from /{ip}",
        "BLOCK* NameSystem.addStoredBlock: blockMap updated: {ipp} is added to {blk} size {n}",
        "Receiving block {blk} src: /{ipp} dest: /{ipp}",
        "BLOCK* NameSystem.allocateBlock: /user/root/sortrand/_temporary/_task_200811092030_0001_m_{n}_0/part-{n}. {blk}",
        "Verification succeeded for {blk}",
        "Deleting block {blk} file /mnt/hadoop/dfs/data/current/subdir{n}/{blk}",
        "{ipp}:Got exception while serving {blk} to /{ip}:",
        "BLOCK* ask {ipp} to replicate {blk} to datanode(s) {ipp}",
        "{ipp} Served block {blk} to /{ip}",
    )),
    "hadoop": ("2015-10-18 18:01:47,978 INFO [IPC Server handler {n} on 62270] org.apache.hadoop.mapred.X: ", (
        "Created MRAppMaster for application {attempt}",
        "Before Scheduling: PendingReds:{n} ScheduledMaps:{n} AssignedMaps:{n}",
        "Progress of TaskAttempt {attempt} is : {float}",
        "{attempt} TaskAttempt Transitioned from NEW to UNASSIGNED",
        "{attempt} TaskAttempt Transitioned from RUNNING to SUCCESS_CONTAINER_CLEANUP",
        "Error writing History Event: {cls}",
        "Address change detected. Old: msra-sa-41/{ipp} New: msra-sa-41:{n}",
        "Retrying connect to server: {host}/{ipp}. Already tried {n} time(s); maxRetries={n}",
        "Registering class {cls} for class {cls}",
    )),
    "spark": ("17/06/09 20:10:40 INFO executor.Executor: ", (
        "Running task {float} in stage {float} (TID {n})",
        "Finished task {float} in stage {float} (TID {n}). {n} bytes result sent to driver",
        "Found block rdd_{n}_{n} locally",
        "Block broadcast_{n} stored as values in memory (estimated size {size} KB, free {size} KB)",
        "Block broadcast_{n}_piece0 stored as bytes in memory (estimated size {size} KB, free {size} MB)",
        "Started reading broadcast variable {n}",
        "Reading broadcast variable {n} took {n} ms",
        "Saved output of task '{attempt}' to hdfs://{ipp}/pjhe/sparktest",
        "Registered signal handlers for [TERM, HUP, INT]",
    )),
    "zookeeper": ("2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181:FastLeaderElection@774] - ", (
        "Notification time out: {n}",
        "Received connection request /{ipp}",
        "Accepted socket connection from /{ipp}",
        "Closed socket connection for client /{ipp} which had sessionid {hex}",
        "Closed socket connection for client /{ipp} (no session established for client)",
        "Client attempting to establish new session at /{ipp}",
        "Established session {hex} with negotiated timeout {n} for client /{ipp}",
        "Expiring session {hex}, timeout of {n}ms exceeded",
        "Connection broken for id {n}, my id = {n}, error =",
        "Interrupted while waiting for message on queue",
        "Send worker leaving thread",
    )),
    "bgl": ("- 1117838570 2005.06.03 {node} 2005-06-03-15.42.50.675872 {node} RAS KERNEL INFO ", (
        "instruction cache parity error corrected",
        "generating core.{n}",
        "CE sym {n}, at {hex}, mask {hex}",
        "{n} floating point alignment exceptions",
        "data TLB error interrupt",
        "data storage interrupt",
        "ddr: excessive soft failures, consider replacing the card",
        "iar {hex} dear {hex}",
        "rts: kernel terminated for reason {n}",
        "total of {n} ddr error(s) detected and corrected",
        "machine check enable..............................{n}",
    )),
    "thunderbird": ("- 1131566461 2005.11.09 dn{n} Nov 9 12:01:01 dn{n}/dn{n} crond(pam_unix)[{n}]: ", (
        "session closed for user root",
        "session opened for user root by (uid={n})",
        "(root) CMD (run-parts /etc/cron.hourly)",
        "data address: {ip} <{n}>",
        "Synchronized to {ip}, stratum {n}",
        "Did not receive identification string from ::ffff:{ip}",
        "connection lost to host {host}",
    )),
    "linux": ("Jun 14 15:16:01 combo sshd(pam_unix)[{n}]: ", (
        "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost={ip} ",
        "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost={ip}  user=root",
        "check pass; user unknown",
        "session opened for user {user} by (uid={n})",
        "session closed for user {user}",
        "connection from {ip} ({host}) at Sat Jun 18 {clock} 2005",
        "{svc} startup succeeded",
        "{svc} shutdown succeeded",
        "ALERT exited abnormally with [{n}]",
        "Kerberos authentication failed",
    )),
    "openssh": ("Dec 10 06:55:46 LabSZ sshd[{n}]: ", (
        "reverse mapping checking getaddrinfo for {host} [{ip}] failed - POSSIBLE BREAK-IN ATTEMPT!",
        "Invalid user {user} from {ip}",
        "input_userauth_request: invalid user {user} [preauth]",
        "Failed password for invalid user {user} from {ip} port {n} ssh2",
        "Failed password for {user} from {ip} port {n} ssh2",
        "Connection closed by {ip} [preauth]",
        "Received disconnect from {ip}: 11: Bye Bye [preauth]",
        "pam_unix(sshd:auth): check pass; user unknown",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip} ",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user=root",
        "Disconnecting: Too many authentication failures for {user} [preauth]",
        "Accepted password for {user} from {ip} port {n} ssh2",
        "error: Received disconnect from {ip}: {n}: No more user authentication methods available. [preauth]",
    )),
    "apache": ("[Sun Dec 04 04:47:44 2005] [notice] ", (
        "workerEnv.init() ok {path}",
        "mod_jk child workerEnv in error state {n}",
        "jk2_init() Found child {n} in scoreboard slot {n}",
        "[client {ip}] Directory index forbidden by rule: {path}",
        "jk2_init() Can't find child {n} in scoreboard",
        "mod_jk child init {n} {n}",
    )),
    "android": ("03-17 16:13:38.811  {n}  {n} D PowerManagerService: ", (
        'acquire lock={n}, flags={hex}, tag="View Lock", name=com.android.systemui, ws=null, uid={n}, pid={n}',
        'release:lock={n}, flg={hex}, tag="View Lock", name=com.android.systemui", ws=null, uid={n}, pid={n}',
        "ready={state},policy={n},wakefulness={n},wksummary={hex},uasummary={hex},bootcompleted={state}",
        "setSystemUiVisibility vis={n} mask={n} oldVal={n} newVal={n} diff={n}",
        "visible is system.time.showampm",
        "visible is system.call.count gt 0",
        "getTasks: caller {n} does not hold REAL_GET_TASKS; limiting output",
        "updateLightsLocked: mScreenState = {state}",
        "userActivityNoUpdateLocked: eventTime={n}, event={n}, flags={hex}, uid={n}",
        "Skipping AppWindowToken{{{hex} token=Token{{{hex}}}}}",
    )),
    "healthapp": ("20171223-22:15:29:606|Step_LSC|30002312|", (
        "onStandStepChanged {n}",
        "onExtend:151403{n} {n} {n} {n}",
        "calculateCaloriesWithCache totalCalories={n}",
        "calculateAltitudeWithCache totalAltitude={n}",
        "getTodayTotalDetailSteps = 151403{n}##{n}##548365##8661##12266##27164404",
        "setTodayTotalDetailSteps=151403{n}##{n}##548365##8661##12361##27173954",
        "REPORT : {n} {n} {n} {n}",
        "flush sensor data",
        "upLoadHealthData",
        "getSyncType {n}",
    )),
    "proxifier": ("[10.30 16:49:06] chrome.exe - ", (
        "{host}:5070 open through proxy {host}:5070 HTTPS",
        "{host}:5070 close, {n} bytes sent, {n} bytes received, lifetime {life}",
        "{host}:5070 close, {n} bytes sent, {n} bytes ({size} KB) received, lifetime {life}",
        "{host}:5070 close, {n} bytes ({size} KB) sent, {n} bytes ({size} KB) received, lifetime {life}",
        "{host}:80 error : Could not connect through proxy {host}:5070 - Proxy server cannot establish a connection with the target, status code {n}",
    )),
    "openstack": ("nova-compute.log.1.2017-05-16_13:55:31 2017-05-16 00:00:04.500 2931 INFO nova.compute.manager [req-{uuid} - - - - -] ", (
        "[instance: {uuid}] VM Started (Lifecycle Event)",
        "[instance: {uuid}] VM Paused (Lifecycle Event)",
        "[instance: {uuid}] VM Resumed (Lifecycle Event)",
        "[instance: {uuid}] Took {float} seconds to spawn the instance on the hypervisor.",
        "[instance: {uuid}] Took {float} seconds to build instance.",
        '{ip} "GET /v2/{uuid}/servers/detail HTTP/1.1" status: {n} len: {n} time: {float}',
        '{ip} "POST /v2/{uuid}/os-server-external-events HTTP/1.1" status: {n} len: {n} time: {float}',
        "[instance: {uuid}] Creating image",
        "Active base files: /var/lib/nova/instances/_base/{uuid}",
        "Removable base files: /var/lib/nova/instances/_base/{uuid}",
        "[instance: {uuid}] Terminating instance",
        "[instance: {uuid}] Deleting instance files /var/lib/nova/instances/{uuid}_del",
        "[instance: {uuid}] Deletion of /var/lib/nova/instances/{uuid}_del complete",
    )),
    "mac": ("Jul  1 09:00:55 calvisitor-10-105-160-95 kernel[0]: ", (
        "ARPT: {float}: wl0: wl_update_tcpkeep_seq: Original Seq: {n}, Ack: {n}, Win size: {n}",
        "en0: BSSID changed to 5c:50:15:{n}:ab:cd",
        "Thermal pressure state: {n} Memory pressure state: {n}",
        "hibernate_page_list_setall(preflight {n}) start",
        "Wake reason: RTC (Alarm)",
        "AirPort: Link Down on awdl0. Reason {n} (Unspecified).",
        "USBMSC Identifier (non-unique): {hex} 0x5ac 0x8406 0x820, {n}",
        "[HID] [MT] AppleMultitouchDevice::willTerminate entered",
    )),
    "hpc": ("{n} node-{n} unix.hw state_change.unavailable 1077804742 1 ", (
        "Component State Change: Component \\042alt0\\042 is in the unavailable state (HWID={n})",
        "PSU status ( on on )",
        "Fan speeds ( {n} {n} {n} {n} {n} {n} )",
        "ambient={n}",
        "Temperature ({n}) exceeds warning threshold",
        "Targeting domains:node-D{n} and nodes:node-[{n}-{n}] child of command {n}",
        "Link error on broadcast tree Interconnect-0T00:00:{n}:{n}",
        "boot (command {n}) Error: unable to boot node-{n}",
    )),
    "windows": ("2016-09-28 04:30:30, Info                  CBS    ", (
        "Loaded Servicing Stack v6.1.7601.{n} with Core: C:\\Windows\\winsxs\\amd64_microsoft\\cbscore.dll",
        "SQM: Initializing online with Windows opt-in: False",
        "SQM: Cleaning up report files older than {n} days.",
        "Session: {n}_{n} initialized by client WindowsUpdateAgent.",
        "Read out cached package applicability for package: Package_for_KB{n}~31bf~amd64~~6.1.1.3, ApplicableState: {n}, CurrentState:{n}",
        "Warning: Unrecognized packageExtended attribute.",
        "Expecting attribute name [HRESULT = {hex} - CBS_E_MANIFEST_INVALID_ITEM]",
        "Failed to get next element [HRESULT = {hex} - CBS_E_MANIFEST_INVALID_ITEM]",
    )),
}  # fmt: skip


def lines(system: str, count: int, seed: int, *, header: bool = True) -> tuple[list[str], list[int]]:
    """Return *count* lines of *system* and the label of each; a few templates are frequent and many are rare."""
    rng = random.Random(f"{system}{seed}")
    head, templates = SYSTEMS[system]
    weights = [1 / (1 + i) ** 1.2 for i in range(len(templates))]
    labels = rng.choices(range(len(templates)), weights, k=count)
    text = [_fill((head if header else "") + templates[label], rng) for label in labels]
    return text, labels


def _fill(template: str, rng: Rng) -> str:
    text = template.replace("{{", "\0").replace("}}}", "}\1").replace("}}", "\1")
    for kind, make in VALUES.items():
        while f"{{{kind}}}" in text:
            text = text.replace(f"{{{kind}}}", make(rng), 1)
    return text.replace("\0", "{").replace("\1", "}")


def accuracy(assigned: list[int], labels: list[int]) -> float:
    """Return the grouping accuracy: the share of lines whose group is exactly the group of their label."""
    found: dict[int, set[int]] = {}
    true: dict[int, set[int]] = {}
    for i, (a, b) in enumerate(zip(assigned, labels, strict=True)):
        found.setdefault(a, set()).add(i)
        true.setdefault(b, set()).add(i)
    exact = {frozenset(members) for members in true.values()}
    return sum(len(members) for members in found.values() if frozenset(members) in exact) / len(labels)
