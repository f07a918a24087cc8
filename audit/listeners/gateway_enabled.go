package listeners

import (
	"net/http"

	"github.com/etcdsec/etcdsec/audit"
)

// GatewayEnabled finds the JSON gateway, which few clusters use.
func GatewayEnabled() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "gateway-enabled",
		Title:    "The JSON gateway is on",
		Severity: audit.Low,
		Rationale: "The gateway offers the whole store over plain HTTP requests, which a browser or any script can send. It " +
			"ignores the common name of its callers, and dials etcd with the server's certificate, which must therefore " +
			"also be a client certificate. Kubernetes does not use the gateway, and etcd switches it on by default.",
		Method: "Sends GET /v3/kv/range with every access that the port allows: the gateway knows that path and refuses the " +
			"method.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Turn it off, and restart the member; Kubernetes does not need it:"),
				audit.Paste("--enable-grpc-gateway=false"),
			}
		},
		References: []string{"STIG V-242413", "NIST 800-53 CM-7", "etcd-io/etcd#15755", "etcd THREAT_MODEL.md: Component Scope"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			// It refuses the method; with authentication on, a caller with a certificate before that.
			return judgePresence(t, audit.GatewayPath, "gateway", http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusBadRequest)
		},
	})
}
