package listeners

import (
	"net/http"

	"github.com/etcdsec/etcdsec/audit"
)

// V2APIEnabled finds the withdrawn v2 API.
func V2APIEnabled() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "v2-api-enabled",
		Title:    "The port serves the withdrawn v2 API",
		Severity: audit.Medium,
		Rationale: "The v2 API is a second store with its own authentication, which the settings of the v3 store do not protect. " +
			"It has had no fixes for years, was removed in 3.6, and every scanner for open etcds tries it first.",
		Method: "Sends GET /v2/keys with every access that the port allows. The answer is not kept.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Turn it off, and restart the member (3.4 and 3.5; later releases do not have it):"),
				audit.Paste("--enable-v2=false"),
			}
		},
		References: []string{"STIG V-242413", "NIST 800-53 CM-7", "NIST 800-53 AC-3"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			return judgePresence(t, "/v2/keys", "v2", http.StatusOK, http.StatusUnauthorized)
		},
	})
}
