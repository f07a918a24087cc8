package files

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

const kubeAPIServer = "kube-apiserver"

// ofHost judges the files of a target's host.
func ofHost(judge func([]audit.File) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	return among(hostFiles, judge)
}

// ofHostEtcd judges the files of etcd alone.
func ofHostEtcd(judge func([]audit.File) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	judgeEtcd := among(func(s *audit.Settings) []audit.File { return s.Files }, judge)
	return func(t *audit.HostSettings) audit.Outcome {
		if t.Settings != nil && t.Settings.Program == kubeAPIServer {
			return audit.Skipped("these files are kube-apiserver's")
		}
		return judgeEtcd(t)
	}
}

func among(list func(*audit.Settings) []audit.File, judge func([]audit.File) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	return func(t *audit.HostSettings) audit.Outcome {
		if t.Settings == nil {
			return audit.CouldNotTell("the host was not looked at")
		}
		all := list(t.Settings)
		if len(all) == 0 && t.Settings.Remote {
			return audit.Skipped("the files are of another machine: run etcdsec audit run there")
		}
		if len(all) == 0 {
			return audit.CouldNotTell("no file was looked at" + reasonOf(t.Settings))
		}
		o := judge(all)
		if reason := unlisted(t.Settings, all); reason != "" && (o.Verdict == audit.Pass || o.Verdict == audit.Skip) {
			return audit.CouldNotTell("some files may not be known: " + reason)
		}
		return o
	}
}

// unlisted is why there may be files that nobody could name.
func unlisted(s *audit.Settings, all []audit.File) string {
	for _, f := range all {
		if f.Role != audit.PKIDir {
			continue
		}
		if f.Reason != "" {
			return f.Path + ": " + f.Reason
		}
		for _, of := range []*audit.Settings{s, s.APIServer} {
			if of == nil {
				continue
			}
			if reason := of.Fault(f.Path); reason != "" {
				return f.Path + ": " + reason
			}
		}
	}
	return s.Fault("")
}

func reasonOf(s *audit.Settings) string {
	if reason := s.Fault(""); reason != "" {
		return ": " + reason
	}
	return ""
}

// hostFiles are etcd's, and the PKI and the encryption configuration of the API server beside
// it, each once. What else the API server consists of has rules of its own.
func hostFiles(s *audit.Settings) []audit.File {
	var all []audit.File
	apiServer := s.APIServer
	if s.Program == kubeAPIServer {
		apiServer = s
	} else {
		all = slices.Clone(s.Files)
	}
	if apiServer == nil {
		return all
	}
	for _, f := range apiServer.Files {
		known := slices.ContainsFunc(all, func(other audit.File) bool { return other.Path == f.Path })
		if !known && slices.Contains([]audit.FileRole{audit.CertFile, audit.KeyFile, audit.PKIDir, audit.EncryptionKey}, f.Role) {
			all = append(all, f)
		}
	}
	return all
}

// role returns the purpose of a file. Whatever else is in it, a key makes it a key.
func role(f audit.File) audit.FileRole {
	if f.PrivateKey {
		return audit.KeyFile
	}
	return f.Role
}

// secret reports whether a file holds what nobody else may read.
func secret(f audit.File) bool {
	return role(f) == audit.KeyFile || role(f) == audit.EncryptionKey
}

// judged collects the findings about files that are looked at one by one.
type judged struct {
	findings []audit.Finding
	severity audit.Severity // of the worst
	doubt    string
}

func (j *judged) found(code, text string, severity audit.Severity) {
	j.findings = append(j.findings, audit.Finding{Code: code, Text: text})
	if len(j.findings) == 1 || severity.Rank() < j.severity.Rank() {
		j.severity = severity
	}
}

// foundAll notes the rules that one file breaks, in one text: what is seen, and then who asks for what.
func (j *judged) foundAll(broken []rule, seen string, wanted func(rule) string, severity audit.Severity) {
	var asked []string
	for i := 0; i < len(broken); i++ {
		r := broken[i]
		if i+1 < len(broken) && wanted(broken[i+1]) == wanted(r) {
			asked = append(asked, r.asks+" and "+broken[i+1].asks+" ask for "+wanted(r))
			i++
			continue
		}
		asked = append(asked, r.wants()+" "+wanted(r))
	}
	for i, r := range broken {
		text := ""
		if i == 0 {
			text = seen + "; " + strings.Join(asked, ", ")
		}
		j.found(r.code, text, severity)
	}
}

func (j *judged) doubts(f audit.File, reason string) {
	if j.doubt == "" {
		j.doubt = f.Path + ": " + reason
	}
}

func (j *judged) outcome(evidence string) audit.Outcome {
	switch {
	case len(j.findings) > 0:
		o := audit.Failed(j.findings...)
		o.Severity = j.severity
		return o
	case j.doubt != "":
		return audit.CouldNotTell(j.doubt)
	default:
		return audit.Passed(evidence)
	}
}

func count(all []audit.File, what string) string {
	if len(all) == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", len(all), what)
}
