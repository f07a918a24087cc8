package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Sandbox finds an etcd that may do more on its host than it needs to.
func Sandbox() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-sandbox",
		Title:    "etcd may do more on its host than it needs to",
		Severity: audit.High,
		Rationale: "etcd needs its ports, its certificates and its data dir. An attacker who exploits a flaw in etcd gets every " +
			"other right that it has: a privileged container, or a root service without limits, means the whole node.",
		Method: "Reads the securityContext of the static Pod, or the directives of the systemd unit with its drop-ins. If it " +
			"finds neither, it reads the user, capabilities and filters of the process in /proc. Rights that kubeadm also " +
			"leaves have low severity; others have high severity.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Render a manifest or unit with only the rights that etcd needs, and replace yours with it:"),
				audit.Paste("etcdsec bootstrap -f %s %s", p.Spec(), p.Store()),
			}
		},
		References: []string{"NSA/CISA Kubernetes Hardening Guide v1.2: Pod security", "NIST 800-53 AC-6", "NIST 800-53 CM-7", "NIST 800-53 SC-39"},
		Run: ofEtcd(func(_ *audit.HostSettings, s *audit.Settings) audit.Outcome {
			switch {
			case s.Sandbox == nil && s.Remote:
				return audit.Skipped("no manifest or unit that runs etcd with these settings was given")
			case s.Sandbox == nil:
				return audit.CouldNotTell("neither a static Pod, nor a systemd unit, nor the status of a process was read")
			case s.Sandbox.By == audit.ManifestFile:
				return withWorstSeverity(podSandbox(s.Sandbox.Values), sandboxSeverity)
			case s.Sandbox.By == audit.ProcessStatus:
				return withWorstSeverity(processSandbox(s.Sandbox.Values), sandboxSeverity)
			default:
				return withWorstSeverity(unitSandbox(s.Sandbox.Values), sandboxSeverity)
			}
		}),
	})
}

func sandboxSeverity(code string) audit.Severity {
	if slices.Contains([]string{"privileged", "host-namespaces", "strong-capabilities", "seccomp-off"}, code) {
		return audit.High
	}
	return audit.Low
}

// strongCapabilities returns the capabilities with which an attacker in a container can take over the
// host (capabilities(7)). No runtime grants them by default.
func strongCapabilities() []string {
	return []string{"ALL", "BPF", "DAC_READ_SEARCH", "NET_ADMIN", "PERFMON", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"}
}

// podSandbox judges the securityContext of a container.
func podSandbox(values map[string]string) audit.Outcome {
	is := func(name, value string) bool { return strings.EqualFold(values[name], value) }
	list := func(name string) []string {
		return strings.FieldsFunc(strings.ToUpper(values[name]), func(c rune) bool { return c == ',' || c == ' ' })
	}
	var findings []audit.Finding
	found := func(code, text string) { findings = append(findings, audit.Finding{Code: code, Text: text}) }

	if is("privileged", "true") {
		found("privileged", "the container is privileged: root in it is root on the host")
	}
	if is("hostPID", "true") || is("hostIPC", "true") {
		found("host-namespaces", "the Pod shares the processes or the IPC of the host")
	}
	added := slices.DeleteFunc(list("capabilities.add"), func(c string) bool {
		return !slices.Contains(strongCapabilities(), strings.TrimPrefix(c, "CAP_"))
	})
	if len(added) > 0 {
		found("strong-capabilities", "the container has capabilities that give control of the host: "+strings.Join(added, ", "))
	}
	switch profile := values["seccompProfile.type"]; profile {
	case "RuntimeDefault", "Localhost":
	case "Unconfined":
		found("seccomp-off", "the container may make every system call (seccomp Unconfined)")
	default:
		found("seccomp", "no seccomp profile is set")
	}
	if !is("allowPrivilegeEscalation", "false") {
		found("privilege-escalation", "allowPrivilegeEscalation is not false")
	}
	if !is("readOnlyRootFilesystem", "true") {
		found("writable-root", "readOnlyRootFilesystem is not true")
	}
	root := !is("runAsNonRoot", "true") && (values["runAsUser"] == "" || values["runAsUser"] == "0")
	if !slices.Contains(list("capabilities.drop"), "ALL") {
		found("capabilities", "capabilities.drop is not ALL")
		if root {
			// Without capabilities root is a user like another, whose files are its own.
			found("root", "the container runs as root with capabilities")
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	return audit.Passed("the container has no capabilities, cannot gain any, and writes only to its volumes")
}

// capabilityNumbers returns the numbers of the strong capabilities (linux/capability.h), in the order of strongCapabilities after ALL.
func capabilityNumbers() []uint { return []uint{39, 2, 12, 38, 21, 22, 16, 19, 17} }

// processSandbox judges what the kernel tells about a process. It does not tell which files the
// process may write to.
func processSandbox(values map[string]string) audit.Outcome {
	for _, name := range []string{"Uid", "CapEff", "NoNewPrivs", "Seccomp"} {
		if values[name] == "" {
			return audit.CouldNotTell("the status of the process does not tell " + name)
		}
	}
	capabilities, err := strconv.ParseUint(values["CapEff"], 16, 64)
	if err != nil {
		return audit.CouldNotTell("the status of the process does not tell its capabilities (CapEff)")
	}
	var findings []audit.Finding
	add := func(code, text string) { findings = append(findings, audit.Finding{Code: code, Text: text}) }
	if values["Uid"] == "0" && capabilities != 0 {
		add("root", "etcd runs as root with capabilities")
	} else {
		var strong []string
		for i, number := range capabilityNumbers() {
			if capabilities>>number&1 == 1 {
				strong = append(strong, strongCapabilities()[i+1])
			}
		}
		if len(strong) > 0 {
			add("strong-capabilities", "etcd has capabilities that give it the whole host: "+strings.Join(strong, ", "))
		}
	}
	if values["NoNewPrivs"] == "0" {
		add("new-privileges", "etcd may gain privileges from a program that it starts (NoNewPrivs of the process is 0)")
	}
	if values["Seccomp"] == "0" {
		add("seccomp", "etcd may make every system call (Seccomp of the process is 0)")
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	return audit.Passed("etcd runs as user " + values["Uid"] + " without strong capabilities, cannot gain any, and its system calls are filtered; which files it may write to was not read")
}

// directive is a directive of systemd.exec(5) with the values that limit etcd.
type directive struct {
	name, code string
	accepted   []string
	what       string // the risk if it has none of these values
}

func directives() []directive {
	on := []string{"yes", "true", "on", "1"}
	return []directive{
		{"NoNewPrivileges", "new-privileges", on, "etcd may gain privileges"},
		{"ProtectSystem", "writable-system", append([]string{"strict", "full"}, on...), "etcd may write to the system's files"},
		{"ProtectHome", "homes", append([]string{"read-only", "tmpfs"}, on...), "etcd may read and write home directories"},
		{"PrivateTmp", "tmp", append([]string{"disconnected"}, on...), "etcd shares /tmp with every process"},
		{"PrivateDevices", "devices", on, "etcd may open devices"},
		{"ProtectKernelTunables", "kernel-tunables", on, "etcd may change settings of the kernel"},
		{"ProtectKernelModules", "kernel-modules", on, "etcd may load modules"},
		{"ProtectControlGroups", "control-groups", on, "etcd may change control groups"},
	}
}

// impliedByDynamicUser returns the directives that DynamicUser= implies (systemd.exec(5)).
func impliedByDynamicUser() []string {
	return []string{"NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateTmp"}
}

func unitSandbox(values map[string]string) audit.Outcome {
	var findings []audit.Finding
	dynamic := containsValue(values["DynamicUser"], []string{"yes", "true", "on", "1"})
	if user := values["User"]; !dynamic && (user == "" || user == "root" || user == "0") {
		// Root without capabilities owns its files and no more.
		if limit, set := values["CapabilityBoundingSet"]; !set || limit != "" {
			findings = append(findings, audit.Finding{Code: "root", Text: "etcd runs as root with capabilities (User= and CapabilityBoundingSet=)"})
		}
	}
	for _, d := range directives() {
		if containsValue(values[d.name], d.accepted) || dynamic && slices.Contains(impliedByDynamicUser(), d.name) {
			continue
		}
		written := d.name + "= is not set"
		if value, set := values[d.name]; set {
			written = d.name + "=" + value
		}
		findings = append(findings, audit.Finding{Code: d.code, Text: fmt.Sprintf("%s (%s)", d.what, written)})
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	return audit.Passed(fmt.Sprintf("etcd does not run as root, and %d directives limit it", len(directives())))
}

func containsValue(value string, values []string) bool {
	return slices.Contains(values, strings.ToLower(strings.TrimSpace(value)))
}
