package host

import (
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// sandboxDirectives returns the directives of systemd.exec(5) that separate a service from the
// rest of its host. Other directives, such as Environment=, may hold secrets and are left out.
func sandboxDirectives() []string {
	return []string{
		"User", "Group", "DynamicUser", "NoNewPrivileges", "ProtectSystem", "ProtectHome", "ProtectClock", "ProtectControlGroups",
		"ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProcSubset",
		"PrivateDevices", "PrivateIPC", "PrivateMounts", "PrivateNetwork", "PrivatePIDs", "PrivateTmp", "PrivateUsers",
		"RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute",
		"KeyringMode", "SecureBits", "UMask", "RootDirectory", "RootImage",
	}
}

// sandboxLists returns the directives whose values add up. An empty value resets them to
// nothing; for CapabilityBoundingSet= that means no capability at all.
func sandboxLists() []string {
	return []string{
		"CapabilityBoundingSet", "AmbientCapabilities", "SupplementaryGroups", "RestrictAddressFamilies", "SystemCallFilter",
		"SystemCallArchitectures", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths",
		"BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem",
	}
}

// setLimit notes a directive of a service. systemd ignores an empty value where it wants a
// word; an empty user is root.
func (u *unit) setLimit(directive, value string) {
	if u.limits == nil {
		u.limits = map[string]string{}
	}
	value = makePrintable(value)
	switch {
	case slices.Contains(sandboxLists(), directive):
		if before := u.limits[directive]; before != "" && value != "" {
			value = before + " " + value
		}
		u.limits[directive] = value
	case !slices.Contains(sandboxDirectives(), directive):
	case value != "":
		u.limits[directive] = value
	case directive == "User" || directive == "Group":
		delete(u.limits, directive)
	}
}

// sandbox returns the limits that remain with the prefix of the command (systemd.service(5)):
// with + none of them counts, and with ! the user does not.
func (u *unit) sandbox(prefix string) *audit.Sandbox {
	s := &audit.Sandbox{By: audit.UnitFile, Values: map[string]string{}}
	if strings.Contains(prefix, "+") {
		return s
	}
	for _, directive := range slices.Concat(sandboxDirectives(), sandboxLists()) {
		value, set := u.limits[directive]
		if !set || strings.Count(prefix, "!") == 1 && slices.Contains([]string{"User", "Group", "DynamicUser"}, directive) {
			continue
		}
		s.Values[directive] = value
	}
	return s
}

// securityContext is the part of a container's and a Pod's security context that is read.
type securityContext struct {
	Privileged               *bool  `json:"privileged"`
	AllowPrivilegeEscalation *bool  `json:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   *bool  `json:"readOnlyRootFilesystem"`
	RunAsNonRoot             *bool  `json:"runAsNonRoot"`
	RunAsUser                *int64 `json:"runAsUser"`
	RunAsGroup               *int64 `json:"runAsGroup"`
	SeccompProfile           *struct {
		Type string `json:"type"`
	} `json:"seccompProfile"`
	Capabilities struct {
		Add  []string `json:"add"`
		Drop []string `json:"drop"`
	} `json:"capabilities"`
}

// sandbox returns the limits of a container: its own, and for the rest those of the Pod.
func (pod podManifest) sandbox(c podContainer) *audit.Sandbox {
	values := map[string]string{}
	truth := func(name string, value *bool) {
		if value != nil {
			values[name] = strconv.FormatBool(*value)
		}
	}
	number := func(name string, value *int64) {
		if value != nil {
			values[name] = strconv.FormatInt(*value, 10)
		}
	}
	list := func(name string, items []string) {
		if len(items) > 0 {
			values[name] = makePrintable(strings.Join(items, ","))
		}
	}
	for _, from := range []securityContext{pod.Spec.SecurityContext, c.SecurityContext} { // the later counts
		truth("runAsNonRoot", from.RunAsNonRoot)
		number("runAsUser", from.RunAsUser)
		number("runAsGroup", from.RunAsGroup)
		if from.SeccompProfile != nil {
			values["seccompProfile.type"] = makePrintable(from.SeccompProfile.Type)
		}
	}
	truth("privileged", c.SecurityContext.Privileged)
	truth("allowPrivilegeEscalation", c.SecurityContext.AllowPrivilegeEscalation)
	truth("readOnlyRootFilesystem", c.SecurityContext.ReadOnlyRootFilesystem)
	list("capabilities.add", c.SecurityContext.Capabilities.Add)
	list("capabilities.drop", c.SecurityContext.Capabilities.Drop)
	truth("hostPID", pod.Spec.HostPID)
	truth("hostIPC", pod.Spec.HostIPC)
	return &audit.Sandbox{By: audit.ManifestFile, Values: values}
}
