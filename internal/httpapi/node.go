package httpapi

import (
	"context"
	"crypto/ed25519"
	"net/http"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

// nodeProofLabel begins what a phone signs when it registers its key, so that no other
// signature of the key can stand in.
const nodeProofLabel = "estate phone node v1\n"

// NodeBody registers the key of an installed app.
type NodeBody struct {
	PublicKey []byte `json:"public_key" minLength:"44" maxLength:"44" doc:"Ed25519 public key, base64"`
	Signature []byte `json:"signature" minLength:"88" maxLength:"88" doc:"Signature over \"estate phone node v1\\n\", the building's id, \"\\n\" and the person's id, base64"`
	Name      string `json:"name,omitempty" maxLength:"200" doc:"What people call the device"`
}

// NodeAnswer names the node.
type NodeAnswer struct {
	ID       record.ID `json:"id" doc:"Id of the node, derived from its key"`
	Building record.ID `json:"building"`
}

// NodeProof is what a phone signs to register its key in a building.
func NodeProof(building, person record.ID) []byte {
	return []byte(nodeProofLabel + building.String() + "\n" + person.String())
}

func (a *API) registerNodes() {
	add(a, operation{id: "register-node", method: http.MethodPost, path: "/buildings/{building}/nodes", tag: tagSync, status: http.StatusCreated,
		summary: "Register the key of an installed app", text: "An app that keeps working offline signs its own transactions. It registers its key once in each building, and may do so again."},
		a.registerNode)
}

func (a *API) registerNode(ctx context.Context, c desk.Caller, in *struct {
	InBuilding
	InKey
	Body NodeBody
}) (*outBody[NodeAnswer], error) {
	if _, err := a.cfg.Desk.Viewer(ctx, c, in.Building); err != nil {
		return nil, err
	}
	public := ed25519.PublicKey(in.Body.PublicKey)
	if len(public) != ed25519.PublicKeySize || !ed25519.Verify(public, NodeProof(in.Building, c.Person), in.Body.Signature) {
		return nil, problem.New(problem.NodeProofInvalid, "")
	}
	node := desk.Node{ID: record.NodeID(public), Tier: record.TierPhone, PublicKey: public, Person: c.Person, Name: in.Body.Name}
	if err := a.cfg.Desk.RegisterNode(ctx, in.Building, node); err != nil {
		return nil, err
	}
	return body(NodeAnswer{ID: node.ID, Building: in.Building}, nil)
}
