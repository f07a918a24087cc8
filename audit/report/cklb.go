package report

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// CKLB writes a checklist for STIG Viewer 3: one rule for each number of the Kubernetes STIG that
// a check refers to, over all targets. A rule is open if anything about it failed, waived or not;
// not reviewed if something is unknown; not applicable if all was skipped. Rules are named
// without a revision, such as SV-242427: the revision belongs to the STIG release with which the
// checklist is merged, and a report does not know that release.
type CKLB struct{}

type cklbChecklist struct {
	Title   string     `json:"title"`
	ID      string     `json:"id"`
	Version string     `json:"cklb_version"`
	Active  bool       `json:"active"`
	Mode    int        `json:"mode"`
	HasPath bool       `json:"has_path"`
	Target  cklbTarget `json:"target_data"`
	STIGs   []cklbSTIG `json:"stigs"`
}

type cklbTarget struct {
	Type           string `json:"target_type"`
	HostName       string `json:"host_name"`
	IPAddress      string `json:"ip_address"`
	MACAddress     string `json:"mac_address"`
	FQDN           string `json:"fqdn"`
	Comments       string `json:"comments"`
	Role           string `json:"role"`
	IsWebDatabase  bool   `json:"is_web_database"`
	TechnologyArea string `json:"technology_area"`
	WebDBSite      string `json:"web_db_site"`
	WebDBInstance  string `json:"web_db_instance"`
}

type cklbSTIG struct {
	Name        string     `json:"stig_name"`
	DisplayName string     `json:"display_name"`
	ID          string     `json:"stig_id"`
	ReleaseInfo string     `json:"release_info"`
	Version     string     `json:"version"`
	UUID        string     `json:"uuid"`
	Size        int        `json:"size"`
	Rules       []cklbRule `json:"rules"`
}

type cklbRule struct {
	UUID           string            `json:"uuid"`
	STIGUUID       string            `json:"stig_uuid"`
	GroupID        string            `json:"group_id"`
	GroupIDSrc     string            `json:"group_id_src"`
	RuleID         string            `json:"rule_id"`
	RuleIDSrc      string            `json:"rule_id_src"`
	RuleTitle      string            `json:"rule_title"`
	Severity       string            `json:"severity"`
	Weight         string            `json:"weight"`
	Classification string            `json:"classification"`
	Discussion     string            `json:"discussion"`
	CheckContent   string            `json:"check_content"`
	FixText        string            `json:"fix_text"`
	CCIs           []string          `json:"ccis"`
	Overrides      map[string]string `json:"overrides"`
	Status         string            `json:"status"`
	FindingDetails string            `json:"finding_details"`
	Comments       string            `json:"comments"`
}

// Render implements Renderer.
func (CKLB) Render(w io.Writer, r audit.Report) error {
	r = makeLegible(r)
	stig := cklbSTIG{
		Name: "Kubernetes Security Technical Implementation Guide", DisplayName: "Kubernetes", ID: "Kubernetes_STIG",
		Version: "2", UUID: uuidOf("stig", "Kubernetes_STIG"), Rules: []cklbRule{},
	}
	for _, rule := range referredRules(r) {
		stig.Rules = append(stig.Rules, cklbRuleOf(stig.UUID, rule, r))
	}
	stig.Size = len(stig.Rules)
	checklist := cklbChecklist{
		Title:   "etcd, audited by " + r.Tool.Name + " " + r.Tool.Version,
		ID:      uuidOf("cklb", runID(r)),
		Version: "1.0",
		Mode:    1,
		Target:  cklbTargetOf(r),
		STIGs:   []cklbSTIG{stig},
	}
	return WriteJSON(w, checklist)
}

// cklbTargetOf returns the asset: the cluster, or the host if there is only one.
func cklbTargetOf(r audit.Report) cklbTarget {
	var hosts []string
	target := cklbTarget{Type: "Computing", Role: "None"}
	for _, result := range r.Results {
		if result.Kind == audit.Cluster {
			target.HostName = result.Target
			continue
		}
		host, _, err := net.SplitHostPort(result.Target)
		if err != nil {
			host, _, _ = strings.Cut(result.Target, ":")
		}
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	target.Comments = "Hosts: " + strings.Join(hosts, ", ")
	switch {
	case len(hosts) == 1:
		target.HostName = hosts[0]
		if net.ParseIP(hosts[0]) != nil {
			target.IPAddress = hosts[0]
		}
	case target.HostName == "":
		target.HostName = "etcd"
	}
	return target
}

// referredRules returns the rules that the results refer to, in the order of their numbers.
func referredRules(r audit.Report) []stigRule {
	known := stigRules()
	var rules []stigRule
	for _, result := range r.Results {
		for _, reference := range result.References {
			group, found := strings.CutPrefix(reference, "STIG ")
			if !found || slices.ContainsFunc(rules, func(s stigRule) bool { return s.group == group }) {
				continue
			}
			rule := stigRule{group: group, severity: "medium", title: result.Title}
			if at := slices.IndexFunc(known, func(s stigRule) bool { return s.group == group }); at >= 0 {
				rule = known[at]
			}
			rules = append(rules, rule)
		}
	}
	slices.SortFunc(rules, func(a, b stigRule) int { return strings.Compare(a.group, b.group) })
	return rules
}

func cklbRuleOf(stigUUID string, rule stigRule, r audit.Report) cklbRule {
	entry := cklbRule{
		UUID: uuidOf("rule", rule.group), STIGUUID: stigUUID,
		GroupID: rule.group, GroupIDSrc: rule.group, RuleID: "S" + rule.group, RuleIDSrc: "S" + rule.group,
		RuleTitle: rule.title, Severity: rule.severity, Weight: "10.0", Classification: "UNCLASSIFIED",
		CCIs: []string{}, Overrides: map[string]string{},
	}
	count := map[audit.Verdict]int{}
	var details, comments, fixes, reasons []string
	for _, result := range worstFirst(r.Results) {
		if !slices.Contains(result.References, "STIG "+rule.group) {
			continue
		}
		verdict := verdictOf(result)
		count[verdict]++
		details = append(details, fmt.Sprintf("%s: %s on %s: %s", verdict, result.CheckID, result.Target, result.Evidence))
		if verdict == waived {
			comments = append(comments, fmt.Sprintf("%s on %s is waived %s", result.CheckID, result.Target, waiverText(result.Waiver)))
		}
		if fix := result.Remediation.String(); verdict == audit.Fail && !slices.Contains(fixes, fix) {
			fixes = append(fixes, fix)
		}
		if result.Rationale != "" && !slices.Contains(reasons, result.Rationale) {
			reasons = append(reasons, result.Rationale)
		}
	}
	entry.Status = cklbStatus(count)
	entry.FindingDetails = strings.Join(details, "\n")
	entry.Comments = strings.Join(comments, "\n")
	entry.FixText = strings.Join(fixes, "\n\n")
	entry.Discussion = strings.Join(reasons, "\n\n")
	entry.CheckContent = "Asked of the running servers by " + r.Tool.Name + " " + r.Tool.Version + "; etcdsec audit explain CHECK says how."
	return entry
}

func cklbStatus(count map[audit.Verdict]int) string {
	switch {
	case count[audit.Fail]+count[waived] > 0:
		return "open"
	case count[audit.Unknown] > 0:
		return "not_reviewed"
	case count[audit.Pass] > 0:
		return "not_a_finding"
	default:
		return "not_applicable"
	}
}
