package files

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

const kubeAPIServer = "kube-apiserver"

// judgeHostFiles judges the files of a target's host.
func judgeHostFiles(judge func([]audit.File) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	return judgeFiles(hostFiles, judge)
}

// judgeEtcdFiles judges only the files of etcd.
func judgeEtcdFiles(judge func([]audit.File) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	judgeEtcd := judgeFiles(func(s *audit.Settings) []audit.File { return s.Files }, judge)
	return func(t *audit.HostSettings) audit.Outcome {
		if t.Settings != nil && t.Settings.Program == kubeAPIServer {
			return audit.Skipped("these files are kube-apiserver's")
		}
		return judgeEtcd(t)
	}
}

func judgeFiles(list func(*audit.Settings) []audit.File, judge func([]audit.File) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	return func(t *audit.HostSettings) audit.Outcome {
		if t.Settings == nil {
			return audit.CouldNotTell("the host was not examined")
		}
		all := list(t.Settings)
		if len(all) == 0 && t.Settings.Remote {
			return audit.Skipped("the files are on another machine: run etcdsec audit run there")
		}
		if len(all) == 0 {
			return audit.CouldNotTell("no file was examined" + reasonSuffix(t.Settings))
		}
		o := judge(all)
		if reason := whyIncomplete(t.Settings, all); reason != "" && (o.Verdict == audit.Pass || o.Verdict == audit.Skip) {
			return audit.CouldNotTell("some files may be unknown: " + reason)
		}
		return o
	}
}

// whyIncomplete returns why the list of files may be incomplete; it is empty if it is complete.
func whyIncomplete(s *audit.Settings, all []audit.File) string {
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

func reasonSuffix(s *audit.Settings) string {
	if reason := s.Fault(""); reason != "" {
		return ": " + reason
	}
	return ""
}

// hostFiles returns the files of etcd, and the PKI and the encryption configuration of the API server
// on the same host, each once. The other files of the API server have rules of their own.
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

// role returns the purpose of a file. A file that holds a private key is a key, whatever else it holds.
func role(f audit.File) audit.FileRole {
	if f.PrivateKey {
		return audit.KeyFile
	}
	return f.Role
}

// holdsSecret reports whether a file holds what nobody else may read.
func holdsSecret(f audit.File) bool {
	return role(f) == audit.KeyFile || role(f) == audit.EncryptionKey
}

// judgement collects the findings about the files.
type judgement struct {
	findings []audit.Finding
	severity audit.Severity // of the worst
	doubt    string
}

func (j *judgement) addFinding(code, text string, severity audit.Severity) {
	j.findings = append(j.findings, audit.Finding{Code: code, Text: text})
	if len(j.findings) == 1 || severity.Rank() < j.severity.Rank() {
		j.severity = severity
	}
}

// addBroken adds a finding for each rule that one file breaks, with one text for all of them: what was
// seen, and which benchmark asks for what.
func (j *judgement) addBroken(broken []rule, seen string, wanted func(rule) string, severity audit.Severity) {
	var asked []string
	for i := 0; i < len(broken); i++ {
		r := broken[i]
		if i+1 < len(broken) && wanted(broken[i+1]) == wanted(r) {
			asked = append(asked, r.asks+" and "+broken[i+1].asks+" ask for "+wanted(r))
			i++
			continue
		}
		asked = append(asked, r.requirement()+" "+wanted(r))
	}
	for i, r := range broken {
		text := ""
		if i == 0 {
			text = seen + "; " + strings.Join(asked, ", ")
		}
		j.addFinding(r.code, text, severity)
	}
}

func (j *judgement) addDoubt(f audit.File, reason string) {
	if j.doubt == "" {
		j.doubt = f.Path + ": " + reason
	}
}

func (j *judgement) outcome(evidence string) audit.Outcome {
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
