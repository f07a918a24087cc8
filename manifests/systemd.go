package manifests

import (
	"fmt"
	"path"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// systemdUnit runs etcd as its own user with nothing but its data dir to write to. With
// --config-file etcd ignores every flag, and that file cannot name a revocation list:
// a member that checks one gets only flags.
func systemdUnit(c *cluster.Cluster, m cluster.Member, config etcdConfig) []byte {
	dataDir, needs, command := c.Etcd.DataDir(m), cluster.ConfigPath+" and "+c.Etcd.PKIDir(m), "--config-file="+cluster.ConfigPath
	readable := "both readable by that user alone"
	if c.PKI.CRL {
		needs, command = c.Etcd.PKIDir(m), "\\\n  "+strings.Join(config.flags(), " \\\n  ")
		readable = "readable by that user alone"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Written by etcdsec. Needs a user and group "etcd", %s,
# %s.
[Unit]
Description=etcd member %s of %s
Documentation=https://etcd.io/docs/
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
User=etcd
Group=etcd
ExecStart=/usr/local/bin/etcd %s
Restart=on-failure
RestartSec=5s
TimeoutStartSec=0
LimitNOFILE=65536
UMask=0077
`, needs, readable, m.Name, c.Name, command)
	if path.Dir(dataDir) == "/var/lib" {
		fmt.Fprintf(&b, "StateDirectory=%s\nStateDirectoryMode=0700\n", path.Base(dataDir))
	} else {
		fmt.Fprintf(&b, "ReadWritePaths=%s\n", dataDir)
	}
	b.WriteString(`NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
`)
	return []byte(b.String())
}
