// The record's value, as far as this program needs it. Each field that the contract names is of its one type, or null; whatever else
// stands in a record is left alone.

export interface Event {
  event: string;
  organization: Identified | null;
  installation: Identified | null;
  transaction: Transaction | null;
}

export interface Identified {
  id: string | null;
}

export interface Transaction {
  id: string;
  creditId: string | null;
  type: string | null;
  status: string | null;
  /** A decimal in plain notation: never a float. */
  amount: string | null;
}
