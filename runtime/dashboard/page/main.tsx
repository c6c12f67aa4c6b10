/** Where the page begins. Its styles come along, so that they are served as one file. */
import 'uplot/dist/uPlot.min.css'
import './style.css'
import { render } from 'preact'
import { connect } from './live.ts'
import { Page } from './page.tsx'

const place = document.getElementById('page')
if (place) {
  render(<Page />, place)
  connect()
}
