package lint

import (
	"net/url"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func kmsSocket() Check {
	return Check{
		ID:       "encryption-kms-socket",
		Title:    "A KMS plugin's socket has no path or no owner",
		Severity: audit.Medium,
		Rationale: "An abstract socket has no owner and no mode: any process of the network namespace can take the place of " +
			"the plugin, and then decrypts and makes keys for kube-apiserver. A socket without a path never exists; " +
			"kube-apiserver still starts, and encrypts nothing.",
		Method: "Reads the endpoint of every KMS provider.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give it a path in a folder that only root may write to:"),
				audit.Paste("  endpoint: unix:///run/kms/kms.sock"),
				audit.Paste("etcdsec encryption lint %s", p.File()),
			}
		},
		References: references("NIST 800-53 AC-3", "k8s.io/kms pkg/util, ParseEndpoint"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.listPlaces(false) {
				if p.p.Type != encryption.KMS {
					continue
				}
				u, err := url.Parse(p.p.Plugin.Endpoint)
				switch {
				case err != nil || strings.Trim(u.Path, "/") == "":
					f.add("no-path", "%s: the endpoint %q has no path", s.describeField(p.field+".kms.endpoint"), p.p.Plugin.Endpoint)
				case strings.HasPrefix(u.Path, "/@"):
					f.add("abstract", "%s: the endpoint %q is an abstract socket", s.describeField(p.field+".kms.endpoint"), p.p.Plugin.Endpoint)
				case u.Host != "":
					f.add("host", "%s: the endpoint %q names a host, which kube-apiserver ignores; a path begins with three slashes", s.describeField(p.field+".kms.endpoint"), p.p.Plugin.Endpoint)
				}
			}
			return f.outcome("every KMS plugin has a socket with a path")
		},
	}
}
