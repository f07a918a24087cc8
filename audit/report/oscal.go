package report

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// OSCAL writes NIST OSCAL assessment results as JSON: an observation for each result, a risk
// for each failure, and a finding for each control of NIST 800-53 that a check refers to. A
// control is satisfied only if nothing about it failed, was waived or stayed unknown.
type OSCAL struct{}

// oscalVersion is that of the model and of NIST's schemas by which the documents are tested.
const oscalVersion = "1.2.1"

const oscalNamespace = "https://github.com/etcdsec/etcdsec/ns/oscal"

// Render implements Renderer.
func (OSCAL) Render(w io.Writer, r audit.Report) error {
	return WriteJSON(w, oscalDocument{oscalOf(makeLegible(r))})
}

func oscalOf(r audit.Report) oscalAssessmentResults {
	started, finished := oscalTime(r.StartedAt), oscalTime(r.FinishedAt)
	assets := oscalAssets(r)
	plan := oscalResource{
		UUID:        planUUID(r),
		Title:       "The assessment plan of this audit",
		Description: "What `-o oscal-plan=FILE` of the same run writes: its document has this UUID.",
	}
	result := oscalResult{
		UUID:        uuidOf("result", runID(r)),
		Title:       "Audit of etcd",
		Description: fmt.Sprintf("%d results on %d targets: %d pass, %d fail, %d unknown, %d skip, %d waived.", len(r.Results), len(groupByTarget(r.Results)), r.Summary.Pass, r.Summary.Fail, r.Summary.Unknown, r.Summary.Skip, r.Summary.Waived),
		Start:       started,
		End:         finished,
		LocalDefinitions: oscalLocalDefinitions{
			InventoryItems:   oscalInventory(r),
			AssessmentAssets: &assets,
		},
	}
	for _, each := range r.Results {
		result.Observations = append(result.Observations, oscalObservationOf(r, each))
		if each.Verdict == audit.Fail || each.Waiver != nil {
			result.Risks = append(result.Risks, oscalRiskOf(each))
		}
	}
	result.ReviewedControls, result.Findings = oscalControls(r)
	return oscalAssessmentResults{
		UUID:       uuidOf("assessment-results", runID(r)),
		Metadata:   oscalMetadataOf(r, "Audit of etcd", r.FinishedAt),
		ImportAP:   oscalReference{"#" + plan.UUID},
		Results:    []oscalResult{result},
		BackMatter: oscalBackMatter{Resources: []oscalResource{plan}},
	}
}

// oscalMetadataOf returns the metadata of a document about a run, which has the time of what it tells.
func oscalMetadataOf(r audit.Report, title string, at time.Time) oscalMetadata {
	return oscalMetadata{Title: title + " by " + word(r.Tool.Name), LastModified: oscalTime(at), Version: oscalTime(at), OSCALVersion: oscalVersion}
}

// oscalAssets returns the tool that assesses, as OSCAL describes it.
func oscalAssets(r audit.Report) oscalAssessmentAssets {
	return oscalAssessmentAssets{
		Components: []oscalComponent{{
			UUID: toolUUID(r), Type: "software", Title: word(r.Tool.Name),
			Description: "Version " + word(r.Tool.Version), Status: oscalStatus{State: "operational"},
		}},
		Platforms: []oscalPlatform{{UUID: uuidOf("platform"), Title: word(r.Tool.Name), UsesComponents: []oscalComponentUse{{toolUUID(r)}}}},
	}
}

// runID returns an ID of a run, made of its time and its results.
func runID(r audit.Report) string {
	parts := []string{r.StartedAt.UTC().Format(time.RFC3339Nano), r.FinishedAt.UTC().Format(time.RFC3339Nano)}
	for _, result := range r.Results {
		parts = append(parts, result.Fingerprint, string(verdictOf(result)))
	}
	return strings.Join(parts, "\x00")
}

func toolUUID(r audit.Report) string { return uuidOf("tool", r.Tool.Name, r.Tool.Version) }

func targetUUID(result audit.Result) string {
	if result.Host != "" {
		return uuidOf("target", result.Target, result.Host)
	}
	return uuidOf("target", result.Target)
}

func observationUUID(result audit.Result) string {
	return uuidOf("observation", result.CheckID, targetUUID(result), result.Fingerprint)
}

func riskUUID(result audit.Result) string {
	return uuidOf("risk", result.CheckID, targetUUID(result), result.Fingerprint)
}

func oscalInventory(r audit.Report) []oscalInventoryItem {
	var items []oscalInventoryItem
	for _, result := range r.Results {
		uuid := targetUUID(result)
		if slices.ContainsFunc(items, func(i oscalInventoryItem) bool { return i.UUID == uuid }) {
			continue
		}
		item := oscalInventoryItem{
			UUID:        uuid,
			Description: strings.TrimSpace(string(result.Kind) + " " + result.Target),
			Props:       []oscalProperty{property("target", result.Target)},
		}
		if result.Kind != "" {
			item.Props = append(item.Props, property("kind", string(result.Kind)))
		}
		if result.Host != "" {
			item.Props = append(item.Props, property("host", result.Host))
		}
		items = append(items, item)
	}
	return items
}

func property(name, value string) oscalProperty {
	return oscalProperty{Name: name, NS: oscalNamespace, Value: word(value)}
}

func oscalObservationOf(r audit.Report, result audit.Result) oscalObservation {
	return oscalObservation{
		UUID:        observationUUID(result),
		Title:       word(result.Title),
		Description: result.Evidence,
		Props: []oscalProperty{
			property("check", result.CheckID), property("verdict", string(verdictOf(result))),
			property("severity", string(result.Severity)), property("fingerprint", result.Fingerprint),
		},
		Methods:   []string{"TEST"},
		Types:     []string{"control-objective"},
		Origins:   []oscalOrigin{{[]oscalActor{{Type: "tool", ActorUUID: toolUUID(r)}}}},
		Subjects:  []oscalSubject{{SubjectUUID: targetUUID(result), Type: "inventory-item"}},
		Collected: oscalTime(r.FinishedAt),
	}
}

func oscalRiskOf(result audit.Result) oscalRisk {
	risk := oscalRisk{
		UUID:                riskUUID(result),
		Title:               word(result.Title),
		Description:         word(result.Target) + ": " + result.Evidence,
		Statement:           result.Rationale,
		Props:               []oscalProperty{property("severity", string(result.Severity))},
		Status:              "open",
		RelatedObservations: []oscalRelatedObservation{{observationUUID(result)}},
	}
	if len(result.Remediation) > 0 {
		risk.Remediations = []oscalRemediation{{
			UUID: uuidOf("remediation", riskUUID(result)), Lifecycle: "recommendation", Title: word(result.CheckID), Description: result.Remediation.String(),
		}}
	}
	if result.Waiver != nil {
		risk.Status = "deviation-approved"
		risk.Deadline = oscalTime(result.Waiver.Expires)
		risk.Props = append(risk.Props, property("waiver", waiverText(result.Waiver)))
	}
	return risk
}

// oscalControls groups the results by control. A control whose results are all skipped was not
// reviewed.
func oscalControls(r audit.Report) (oscalReviewedControls, []oscalFinding) {
	byControl := map[string][]audit.Result{}
	var controls []string
	for _, result := range r.Results {
		if verdictOf(result) == audit.Skip {
			continue
		}
		for _, control := range controlsOf(result.References) {
			if byControl[control] == nil {
				controls = append(controls, control)
			}
			byControl[control] = append(byControl[control], result)
		}
	}
	slices.Sort(controls)
	if len(controls) == 0 {
		return oscalReviewedControls{[]oscalControlSelection{{IncludeAll: &struct{}{}}}}, nil
	}
	var selection oscalControlSelection
	var findings []oscalFinding
	for _, control := range controls {
		selection.IncludeControls = append(selection.IncludeControls, oscalControlID{control})
		findings = append(findings, oscalFindingOf(r, control, byControl[control]))
	}
	return oscalReviewedControls{[]oscalControlSelection{selection}}, findings
}

func oscalFindingOf(r audit.Report, control string, results []audit.Result) oscalFinding {
	finding := oscalFinding{
		UUID:  uuidOf("finding", runID(r), control),
		Title: "Control " + strings.ToUpper(control),
		Target: oscalFindingTarget{
			Type: "objective-id", TargetID: control + "_obj", Status: oscalStatus{State: "satisfied", Reason: "pass"},
		},
	}
	count := map[audit.Verdict]int{}
	for _, result := range results {
		count[verdictOf(result)]++
		finding.RelatedObservations = append(finding.RelatedObservations, oscalRelatedObservation{observationUUID(result)})
		if result.Verdict == audit.Fail || result.Waiver != nil {
			finding.RelatedRisks = append(finding.RelatedRisks, oscalRelatedRisk{riskUUID(result)})
		}
	}
	status := &finding.Target.Status
	switch {
	case count[audit.Fail]+count[waived] > 0:
		*status = oscalStatus{State: "not-satisfied", Reason: "fail"}
	case count[audit.Unknown] > 0:
		*status = oscalStatus{State: "not-satisfied", Reason: "other", Remarks: "Nothing failed, but some questions were not answered."}
	}
	finding.Description = fmt.Sprintf("%d pass, %d fail, %d unknown, %d waived.", count[audit.Pass], count[audit.Fail], count[audit.Unknown], count[waived])
	return finding
}

// controlsOf returns the controls among the references, in the names of the OSCAL catalog of NIST
// 800-53: "NIST 800-53 SC-8(1)" is sc-8.1.
func controlsOf(references []string) []string {
	pattern := regexp.MustCompile(`^NIST 800-53 ([A-Z]{2})-([0-9]+)(?:\(([0-9]+)\))?`)
	var controls []string
	for _, reference := range references {
		match := pattern.FindStringSubmatch(reference)
		if match == nil {
			continue
		}
		control := strings.ToLower(match[1]) + "-" + match[2]
		if match[3] != "" {
			control += "." + match[3]
		}
		if !slices.Contains(controls, control) {
			controls = append(controls, control)
		}
	}
	return controls
}

// word makes a text a valid OSCAL string: not empty, without surrounding space.
func word(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return "-"
	}
	return text
}

func oscalTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
