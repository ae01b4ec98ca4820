import { ApiError } from './api'

/** Something that is fetched: what came, or why not, and whether it is still on its way. */
export class Loaded<T> {
  value = $state.raw<T>()
  error = $state.raw<ApiError>()
  busy = $state(false)
  private running?: AbortController

  /** Starts anew; what was on its way is forgotten, what is shown stays until the new is there. */
  async load(fetchIt: (signal: AbortSignal) => Promise<T>) {
    this.running?.abort()
    const mine = (this.running = new AbortController())
    this.busy = true
    try {
      const value = await fetchIt(mine.signal)
      if (mine.signal.aborted) return
      this.value = value
      this.error = undefined
    } catch (cause) {
      if (mine.signal.aborted) return
      this.value = undefined
      this.error = cause instanceof ApiError ? cause : new ApiError(0, 'internal', String(cause), '')
    } finally {
      if (!mine.signal.aborted) this.busy = false
    }
  }

  stop() {
    this.running?.abort()
    this.busy = false
  }
}
