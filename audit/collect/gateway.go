package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

// rangeJSON is the same question as request makes of RangeRPC: one key, without its value,
// from the member's own store.
const rangeJSON = `{"key":"AA==","range_end":"AA==","limit":"1","serializable":true,"keys_only":true}`

// askGateways reads through the JSON gateway without credentials, where a GET has found one.
// It is the only POST that the audit sends, and never to a peer port.
func (p *prober) askGateways(ctx context.Context, t *audit.Listener) {
	if t.Kind != audit.Client {
		return
	}
	const path = audit.GatewayPath
	for _, access := range audit.Anonymous() {
		found := t.Page(access, path)
		if found.State != audit.Answered || found.Status == http.StatusNotFound {
			continue
		}
		answer := p.fetchAll(ctx, access, question{path: path, body: rangeJSON})[0]
		t.RPCs = append(t.RPCs, gatewayRange(access, answer))
	}
}

func gatewayRange(access audit.Access, answer page) audit.RPC {
	call := audit.RPC{Attempt: answer.Attempt, Access: access, Method: audit.GatewayRange}
	if answer.State != audit.Answered {
		return call
	}
	if answer.fault != nil {
		call.Attempt = *answer.fault
		return call
	}
	var body struct {
		Code    int       `json:"code"`
		Message string    `json:"message"`
		Count   string    `json:"count"`
		Header  *struct{} `json:"header"`
	}
	if err := json.Unmarshal(answer.body, &body); err != nil {
		call.Code, call.Message = int(etcdrpc.Unknown), fmt.Sprintf("HTTP status %d without a JSON body", answer.Status)
		return call
	}
	// A status of gRPC counts only beside the HTTP status to which a gateway translates it
	// (grpc-gateway runtime/errors.go, HTTPStatusFromCode).
	if want, known := httpStatusOf(body.Code); known && answer.Status != want {
		call.Code, call.Message = int(etcdrpc.Unknown), fmt.Sprintf("HTTP status %d with the gRPC status %d", answer.Status, body.Code)
		return call
	}
	call.Code, call.Message, call.Refusal = body.Code, cleanText(body.Message), audit.RefusalOf(body.Message)
	if call.Code == int(etcdrpc.OK) && body.Header == nil {
		call.Code, call.Message = int(etcdrpc.Unknown), "the answer has no header, as etcd's does"
	}
	call.Keys, _ = strconv.ParseInt(body.Count, 10, 64) // protobuf's JSON has int64 as a string
	return call
}

// httpStatusOf returns the HTTP status of a gateway for the codes of gRPC that say something about the
// caller; known is false for all others.
func httpStatusOf(code int) (status int, known bool) {
	status, known = map[int]int{
		int(etcdrpc.OK): http.StatusOK, int(etcdrpc.InvalidArgument): http.StatusBadRequest,
		int(etcdrpc.PermissionDenied): http.StatusForbidden, int(etcdrpc.Unauthenticated): http.StatusUnauthorized,
	}[code]
	return status, known
}
