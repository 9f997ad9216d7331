/** What a driver's factory resolves with: the port, and what the composition root needs to run it. */
export interface Driver<Port> {
  readonly port: Port
  /** Rejects, within `timeout` ms, with what is wrong where the driver cannot do its work now: `/health/ready` asks. */
  check(timeout: number): Promise<void>
  /** Settles what is under way, then frees everything. Calls of the port after it reject. */
  close(): Promise<void>
}
